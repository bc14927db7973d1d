"""The trained network, cut into blocks. timm's models have their door here."""

from helixnas.teacher.boundaries import Boundaries
from helixnas.teacher.cut import cut, recut
from helixnas.teacher.features import BlockBatch, FeatureStatistics, block_batch, feature_statistics
from helixnas.teacher.load import create, load_weights
from helixnas.teacher.loss import DistillLoss
from helixnas.teacher.pieces import CutTeacher, prove

__all__ = [
    "BlockBatch",
    "Boundaries",
    "CutTeacher",
    "DistillLoss",
    "FeatureStatistics",
    "block_batch",
    "create",
    "cut",
    "feature_statistics",
    "load_weights",
    "prove",
    "recut",
]
