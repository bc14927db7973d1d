"""The trained network, cut into blocks. timm has its door here."""

from helixnas.teacher.boundaries import Boundaries
from helixnas.teacher.cut import cut, recut
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
from helixnas.teacher.measure import counting
from helixnas.teacher.pieces import CutTeacher, prove
from helixnas.teacher.program import FromPixels, load_program
from helixnas.teacher.weights import load_weights

__all__ = [
    "BlockBatch",
    "Boundaries",
    "CutTeacher",
    "DistillLoss",
    "FeatureCache",
    "FeatureStatistics",
    "FromPixels",
    "block_batch",
    "block_batches",
    "check",
    "counting",
    "create",
    "cut",
    "cut_features",
    "feature_bytes",
    "feature_statistics",
    "idle_layers_warning",
    "layer_losses",
    "load_program",
    "load_weights",
    "prove",
    "recut",
]
