"""Train a chosen student alone."""

from helixnas.retrain.guided_loss import GuidedLoss
from helixnas.retrain.lr_range import RangeTest, max_steps, range_test
from helixnas.retrain.train import retrain

__all__ = ["GuidedLoss", "RangeTest", "max_steps", "range_test", "retrain"]
