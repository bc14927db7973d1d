"""The trained network, cut into blocks. timm's models have their door here."""

from helixnas.teacher.cut import CutTeacher, cut, prove
from helixnas.teacher.features import BlockBatch, FeatureStatistics, block_batch, feature_statistics
from helixnas.teacher.load import create, load_weights
from helixnas.teacher.loss import DistillLoss

__all__ = [
    "BlockBatch",
    "CutTeacher",
    "DistillLoss",
    "FeatureStatistics",
    "block_batch",
    "create",
    "cut",
    "feature_statistics",
    "load_weights",
    "prove",
]
