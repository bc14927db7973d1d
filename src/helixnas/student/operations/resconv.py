"""``resconv``: HyTra's bottleneck with a convolution inside."""

from torch import nn

from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.hybrid import HybridLayer


def build(layer: LayerSpec, _candidate: Candidate) -> nn.Module:
    """Build the candidate's module for a layer."""
    return HybridLayer(layer, has_attention=False)
