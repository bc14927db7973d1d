"""Train one network, resume its training, and measure how good it is. timm's recipe has its door here."""

from helixnas.fit.augment import Augmenter, pinned
from helixnas.fit.checkpoint import Checkpoint
from helixnas.fit.guard import require_finite
from helixnas.fit.loop import Batch, Fit, LossFunction, accuracy, image_losses, predict, require_known, top1

__all__ = [
    "Augmenter",
    "Batch",
    "Checkpoint",
    "Fit",
    "LossFunction",
    "accuracy",
    "image_losses",
    "pinned",
    "predict",
    "require_finite",
    "require_known",
    "top1",
]
