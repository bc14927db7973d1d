"""Train one block's supernet against the teacher, or several at once."""

from helixnas.distill.batches import FeatureBatches, may_cache
from helixnas.distill.group import Batches, Member, partition, train_group
from helixnas.distill.path_sampler import SAMPLERS, Sampler, round_length, trainable_cells
from helixnas.distill.train import Distillation

__all__ = [
    "SAMPLERS",
    "Batches",
    "Distillation",
    "FeatureBatches",
    "Member",
    "Sampler",
    "may_cache",
    "partition",
    "round_length",
    "train_group",
    "trainable_cells",
]
