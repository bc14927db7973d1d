"""End a training at once when its loss is not finite, and keep the batch for a look."""

from pathlib import Path

import torch
from torch import Tensor

from helixnas.artifacts import CACHE, save_tensors
from helixnas.errors import DivergenceError


def require_finite(loss: Tensor, name: str, step: int, lr_key: str, lr: float, batch: dict[str, Tensor]) -> float:
    """Return the loss as a float, if it is finite.

    Args:
        loss: A scalar.
        name: Says whose loss it is, such as ``distill_loss of block 3``.
        step: Number of the step, for the message.
        lr_key: The key of params.yaml to lower, such as ``distill.lr``.
        lr: The learning rate at this step, for the message.
        batch: The tensors of the batch, saved for a look where the loss is not finite.

    Raises:
        DivergenceError: The loss is NaN or infinite.
    """
    value = float(loss.detach())
    if not torch.isfinite(loss.detach()):
        path = CACHE / "diverged" / f"{name.replace(' ', '_')}.safetensors"
        save_tensors(path, "batch", batch)
        raise DivergenceError(
            f"{name} is {value} at step {step} (lr {lr:g}). Lower {lr_key}; the batch is saved in {Path(path)}."
        )
    return value
