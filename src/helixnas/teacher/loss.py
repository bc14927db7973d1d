"""Measure how far a block's output is from the teacher's output, in units of the teacher's variance."""

import torch
from torch import Tensor


class DistillLoss:
    """Mean squared error over the teacher's mean channel variance: 0 is perfect, 1 is as bad as the best constant.

    The variance is averaged over channels before it divides, so a dead channel, whose variance is 0, is harmless. DNA
    trains on the plain error and divides its rating by a deviation taken anew in each batch (arXiv 1911.13053, Eq. 5
    and 6); one fixed unit makes the two losses the same.

    Args:
        variance: Of the teacher's feature over the train part, by channel, [C].
    """

    def __init__(self, variance: Tensor) -> None:
        self._unit = max(float(variance.double().mean()), 1e-12)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of a batch, a scalar, from outputs and targets [N, ...] of equal shape."""
        return (outputs - targets).square().mean() / self._unit

    def per_image(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of each image, float64 [N]; the mean of these is the loss of the batch."""
        return (outputs - targets).square().flatten(1).to(torch.float64).mean(dim=1) / self._unit
