"""``skip``: the identity."""

from torch import nn

from helixnas.search_space import Candidate, LayerSpec


def build(_layer: LayerSpec, _candidate: Candidate) -> nn.Module:
    """Build the identity."""
    return nn.Identity()
