"""Train one block's supernet against the teacher, or several at once."""

from helixnas.distill.batches import FeatureBatches, may_cache
from helixnas.distill.group import Batches, Member, partition, train_group
from helixnas.distill.path_sampler import SAMPLERS, FairSampler, Sampler, UniformSampler, trainable_cells
from helixnas.distill.train import Distillation

__all__ = [
    "SAMPLERS",
    "Batches",
    "Distillation",
    "FairSampler",
    "FeatureBatches",
    "Member",
    "Sampler",
    "UniformSampler",
    "may_cache",
    "partition",
    "train_group",
    "trainable_cells",
]
