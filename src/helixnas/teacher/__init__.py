"""The trained network, cut into blocks. timm's models have their door here."""

from helixnas.teacher.cut import CutTeacher, cut, prove
from helixnas.teacher.features import BlockBatch, block_batch, feature_variances
from helixnas.teacher.load import create, load_weights
from helixnas.teacher.loss import DistillLoss

__all__ = [
    "BlockBatch",
    "CutTeacher",
    "DistillLoss",
    "block_batch",
    "create",
    "cut",
    "feature_variances",
    "load_weights",
    "prove",
]
