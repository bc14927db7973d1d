"""A loss that is no number ends the training at once, and leaves the batch to look at."""

from pathlib import Path

import torch
from torch import Tensor

from helixnas.artifacts import CACHE, save_tensors
from helixnas.errors import DivergenceError


def require_finite(loss: Tensor, name: str, step: int, lr_key: str, lr: float, batch: dict[str, Tensor]) -> float:
    """The loss as a float; DivergenceError if it is NaN or infinite.

    ``name`` says whose loss it is (``distill_loss of block 3``), ``lr_key`` which key of params.yaml to lower.
    """
    value = float(loss.detach())
    if not torch.isfinite(loss.detach()):
        path = CACHE / "diverged" / f"{name.replace(' ', '_')}.safetensors"
        save_tensors(path, "batch", batch)
        raise DivergenceError(
            f"{name} is {value} at step {step} (lr {lr:g}). Lower {lr_key}; the batch is saved in {Path(path)}."
        )
    return value
