"""Train a chosen student alone."""

from helixnas.retrain.train import retrain

__all__ = ["retrain"]
