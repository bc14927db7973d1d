"""How far a block's output is from the teacher's, in units of the teacher's own variance."""

import torch
from torch import Tensor

from helixnas.search_space.block import Layout

FLOOR = 0.01
"""A channel's variance counts as at least this share of the mean over channels: dead channels divide by it."""


class DistillLoss:
    """Mean squared error, each channel in units of its variance over the train part; 1 is as bad as a constant.

    ``variance`` is [C]. DNA divides the rating alone by one deviation per batch (arXiv 1911.13053, Eq. 6); fixed
    variances per channel make training and rating the same measure, and do not depend on the batch.
    """

    def __init__(self, variance: Tensor, layout: Layout) -> None:
        floor = FLOOR * variance.mean().clamp_min(1e-12)
        scale = variance.clamp_min(floor).reciprocal().float()
        self._scale = scale.view(-1, 1, 1) if layout == "NCHW" else scale

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar. Shapes [N, C, H, W] or [N, L, C]."""
        return ((outputs - targets).square() * self._scale.to(outputs.device)).mean()

    def per_image(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image, float64 [N]; their mean is the loss of the batch."""
        errors = (outputs - targets).square() * self._scale.to(outputs.device)
        return errors.flatten(1).to(torch.float64).mean(dim=1)
