"""Train one block's supernet, or several at once, on what a supervision gives them."""

from helixnas.distill.batches import FeatureBatches, may_cache
from helixnas.distill.group import Batches, Member, partition, train_group
from helixnas.distill.path_sampler import SAMPLERS, Sampler, round_length, trainable_cells
from helixnas.distill.supervision import (
    Lesson,
    Sources,
    Supervision,
    open_supervision,
    reads_teacher,
    require_learnable,
)
from helixnas.distill.train import Distillation

__all__ = [
    "SAMPLERS",
    "Batches",
    "Distillation",
    "FeatureBatches",
    "Lesson",
    "Member",
    "Sampler",
    "Sources",
    "Supervision",
    "may_cache",
    "open_supervision",
    "partition",
    "reads_teacher",
    "require_learnable",
    "round_length",
    "train_group",
    "trainable_cells",
]
