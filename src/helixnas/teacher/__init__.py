"""The trained network: how it is loaded, its features and their cache. timm has its door here."""

from helixnas.teacher.feature_cache import FeatureCache, feature_bytes
from helixnas.teacher.features import (
    BlockBatch,
    FeatureStatistics,
    block_batch,
    block_batches,
    cut_features,
    feature_statistics,
)
from helixnas.teacher.layers import idle_layers_warning, layer_losses
from helixnas.teacher.load import check, create
from helixnas.teacher.loss import DistillLoss
from helixnas.teacher.program import FromPixels, load_program
from helixnas.teacher.weights import load_weights

__all__ = [
    "BlockBatch",
    "DistillLoss",
    "FeatureCache",
    "FeatureStatistics",
    "FromPixels",
    "block_batch",
    "block_batches",
    "check",
    "create",
    "cut_features",
    "feature_bytes",
    "feature_statistics",
    "idle_layers_warning",
    "layer_losses",
    "load_program",
    "load_weights",
]
