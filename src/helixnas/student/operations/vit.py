"""``vit``: a transformer layer on tokens [N, L, C]."""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.layers import start_at_zero

HEAD_WIDTH = 32
"""Channels of one attention head, about."""


class TransformerLayer(nn.Module):
    """Attention and MLP, each behind a LayerNorm and with a shortcut (ViT, arXiv 2010.11929).

    Where the layer changes the width, a linear map of each token comes first. Both branches start at zero, so that a
    layer that keeps the width starts as the identity.

    Args:
        layer: The widths of the layer.
        attention: Inner width of attention as a share of the tokens' width; heads have about 32 channels.
        mlp_ratio: Hidden width of the MLP as a multiple of the tokens' width.
    """

    def __init__(self, layer: LayerSpec, attention: float, mlp_ratio: float) -> None:
        super().__init__()
        width, hidden = layer.out_width, max(1, round(layer.out_width * mlp_ratio))
        self.embed = nn.Linear(layer.in_width, width) if layer.in_width != width else nn.Identity()
        self.num_heads = max(1, round(width * attention / HEAD_WIDTH))
        inner = self.num_heads * max(1, round(width * attention / self.num_heads))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * inner), nn.Linear(inner, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.has_shortcut = layer.in_width == width
        for last in (self.project, self.mlp[2]):
            start_at_zero(last)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, L, in_width] to [N, L, out_width]."""
        x = self.embed(x)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.project(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y

    def entrances(self) -> list[nn.Linear]:
        """Return the layers that read the input; empty unless only a dense linear layer reads it."""
        return [self.embed] if isinstance(self.embed, nn.Linear) else []


def build(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    """Build the candidate's module for a layer."""
    return TransformerLayer(layer, candidate.number("a"), candidate.number("m"))
