"""HelixNAS: cut a trained network into blocks, learn smaller blocks, choose the best set under a budget."""

__version__ = "0.1.0"
