"""Train a chosen student alone."""

from helixnas.retrain.lr_range import RangeTest, max_steps
from helixnas.retrain.train import retrain

__all__ = ["RangeTest", "max_steps", "retrain"]
