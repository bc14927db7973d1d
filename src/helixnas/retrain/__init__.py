"""Train a chosen student alone."""

from helixnas.retrain.range_test import RangeTest, max_steps
from helixnas.retrain.train import retrain

__all__ = ["RangeTest", "max_steps", "retrain"]
