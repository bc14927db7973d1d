"""The trained network, cut into blocks. timm has its door here."""

from helixnas.teacher.cut import CutTeacher, cut, prove
from helixnas.teacher.features import BlockBatch, FeatureStatistics, block_batch, feature_statistics
from helixnas.teacher.load import check, create
from helixnas.teacher.loss import DistillLoss
from helixnas.teacher.program import FromPixels, load_program
from helixnas.teacher.weights import load_weights

__all__ = [
    "BlockBatch",
    "CutTeacher",
    "DistillLoss",
    "FeatureStatistics",
    "FromPixels",
    "block_batch",
    "check",
    "create",
    "cut",
    "feature_statistics",
    "load_program",
    "load_weights",
    "prove",
]
