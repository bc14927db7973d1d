"""Embed the outputs of a block's paths: one vector for each image, whatever width and map size the path ends with.

Self-supervision compares embeddings, while supernets are distilled and rated only; no student keeps a projector.
"""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn
from torch.nn.functional import normalize

from helixnas.errors import CollapseError
from helixnas.search_space import BlockSpace

MAX_AGREEMENT = 0.99
"""The mean cosine between embeddings of different images above which images are told apart no more."""
MIN_SPREAD = 0.05
"""The least spread of the embeddings; 1 is the spread of embeddings that point in all directions alike."""


class Projector(nn.Module):
    """Turn a path's output into an embedding: pooled, a linear layer, BatchNorm and ReLU, another linear layer.

    The form is that of BossNAS (arXiv 2103.12424). All paths of a block share a projector, so that their embeddings can
    be compared, except that each output width has its own first layer.

    Args:
        block: The space of the block.
        hidden_width: Width between the two layers.
        embedding_width: Width of the embeddings.
    """

    def __init__(self, block: BlockSpace, hidden_width: int, embedding_width: int) -> None:
        super().__init__()
        self._axis = 1 + block.spec.channel_axis
        widths = sorted({width for cell in block.cells for width in cell.out_widths})
        self.entries = nn.ModuleDict({str(width): nn.Linear(width, hidden_width, bias=False) for width in widths})
        self.rest = _behind_first(hidden_width, embedding_width)

    @classmethod
    def load(cls, block: BlockSpace, tensors: Mapping[str, Tensor]) -> Self:
        """Make the projector that a state dict was taken of, in eval mode."""
        made = cls(block, *reversed(tensors["rest.2.weight"].shape))
        made.load_state_dict(tensors)
        return made.requires_grad_(False).eval()

    def forward(self, outputs: Tensor) -> Tensor:
        """Embed outputs [N, C, H, W], or in another layout of the block, as [N, D]."""
        pooled = outputs.float().movedim(self._axis, -1).flatten(1, -2).mean(1)
        embeddings: Tensor = self.rest(self.entries[str(pooled.shape[1])](pooled))
        return embeddings


class Predictor(nn.Sequential):
    """Predict a target's embeddings [N, D] from a path's embeddings [N, D]: two layers as in ``Projector``.

    Args:
        hidden_width: Width between the two layers.
        embedding_width: Width of the embeddings.
    """

    def __init__(self, hidden_width: int, embedding_width: int) -> None:
        first = nn.Linear(embedding_width, hidden_width, bias=False)
        super().__init__(first, *_behind_first(hidden_width, embedding_width))

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the predictor that a state dict was taken of, in eval mode."""
        made = cls(*tensors["0.weight"].shape)
        made.load_state_dict(tensors)
        return made.requires_grad_(False).eval()


def _behind_first(hidden_width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(hidden_width), nn.ReLU(), nn.Linear(hidden_width, out_width))


def spread(embeddings: Tensor) -> float:
    """Compute the spread of embeddings [N, D] over images: the standard deviation of a dimension, mean over dimensions.

    Embeddings are scaled to the length sqrt(D) first, so that the spread is 1 where they point in all directions alike,
    and 0 where all are the same.
    """
    scaled = normalize(embeddings.double(), dim=1) * embeddings.shape[1] ** 0.5
    return float(scaled.std(0).mean())


def agreement(embeddings: Tensor) -> float:
    """Compute the mean cosine between the embeddings [N, D] of different images: 1 where all point the same way."""
    num_images = len(embeddings)
    total = normalize(embeddings.double(), dim=1).sum(0).square().sum()
    return float((total - num_images) / (num_images * (num_images - 1)))


def require_distinct(block_id: int, when: str, mean_spread: float, mean_agreement: float) -> None:
    """Require that embeddings tell images apart.

    Args:
        block_id: The block, for the message.
        when: Where they were measured, such as "in epoch 3", for the message.
        mean_spread: As ``spread`` computes it.
        mean_agreement: As ``agreement`` computes it.

    Raises:
        CollapseError: They do not: ratings by them would mean nothing.
    """
    if mean_spread >= MIN_SPREAD and mean_agreement <= MAX_AGREEMENT:
        return
    raise CollapseError(
        f"The embeddings of block {block_id} must tell images apart, but {when} their spread is {mean_spread:.3g} (at "
        f"least {MIN_SPREAD}) and the mean cosine of different images {mean_agreement:.4f} (at most {MAX_AGREEMENT}): "
        "the supernet has collapsed. Raise distill.siamese.variance_weight, lower distill.lr, or let distill.augment "
        "change images less."
    )
