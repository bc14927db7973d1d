"""Train one block's supernet against the teacher."""

from helixnas.distill.path_sampler import SAMPLERS, FairSampler, Sampler, UniformSampler, trainable_cells
from helixnas.distill.train import Distillation

__all__ = ["SAMPLERS", "Distillation", "FairSampler", "Sampler", "UniformSampler", "trainable_cells"]
