"""Learn without labels and without a teacher: the paths of a block's supernet agree on views of the same image (DNA++).

Two twins of the supernet see two views of each image. Each path of the online twin predicts, from one view, what the
target twin's paths say on average of the other view; the target is a moving average of the online twin. This is
BossNAS's ensemble bootstrapping (arXiv 2103.12424), which the DNA family's third member (arXiv 2403.01326) is read as.
``docs/decisions/0012-dnapp.md`` says what is the papers' and what is ours.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from helixnas.config.schema import Siamese
from helixnas.data import ahead, derive_seed, epoch_batches, num_batches
from helixnas.distill.path_sampler import trainable_cells
from helixnas.distill.supervision import Lesson, Sources, Supervision
from helixnas.errors import ConfigError
from helixnas.fit import Augmenter
from helixnas.progress import Log
from helixnas.search_space import BlockSpace, Path
from helixnas.student import BlockSupernet, Predictor, Projector, agreement, require_distinct, spread
from helixnas.teacher import cut_features

READS_TEACHER = False
LEAST_DEVIATION = 0.5
"""Of each dimension of embeddings of length sqrt(D), below which the term of variance begins to work."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """A block's inputs for pairs of views of the same images: [P, N, ...] each, for P pairs of N images."""

    first: Tensor
    second: Tensor

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the pair [N, ...] and [N, ...] of the path with this number in its step."""
        turn = index % len(self.first)
        return self.first[turn], self.second[turn]


class EnsembleBootstrapping(Lesson):
    """Each path predicts, across two views, the mean embedding of the paths of a moving average of the supernet.

    Args:
        supernet: The supernet that learns, the online twin.
        settings: The section ``distill.siamese`` of params.yaml.
    """

    is_untaught = True

    def __init__(self, supernet: BlockSupernet, settings: Siamese) -> None:
        self._supernet, self._settings = supernet, settings
        self._projector = Projector(supernet.block, settings.hidden_width, settings.embedding_width)
        self._predictor = Predictor(settings.hidden_width, settings.embedding_width)
        self._target, self._target_projector = copy.deepcopy(supernet), copy.deepcopy(self._projector)
        target = nn.ModuleDict({"supernet": self._target, "projector": self._target_projector})
        self.beside = nn.ModuleDict(
            {"projector": self._projector, "predictor": self._predictor, "target": target.requires_grad_(False)}
        )
        self._spreads: list[float] = []
        self._agreements: list[float] = []

    def losses(self, batch: Views, paths: Sequence[Path]) -> Iterator[Tensor]:
        """Yield the loss of each path: the squared distances, 0 to 8, to the ensemble across both views (BossNAS).

        To these is added what works against collapse.
        """
        target_first, target_second = self._ensemble(batch, paths)
        for index, path in enumerate(paths):
            first, second = (embed(self._supernet, self._projector, view, path) for view in batch.pair(index))
            self._spreads.append(spread(first.detach()))
            self._agreements.append(agreement(first.detach()))
            loss = _distance(self._predictor(first), target_second) + _distance(self._predictor(second), target_first)
            yield loss + self._against_collapse(first) + self._against_collapse(second)

    @torch.no_grad()
    def _ensemble(self, batch: Views, paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
        """Compute the mean of the target's embeddings over paths, each of length 1, [N, D] for each of the views.

        One random path of each other cell joins the step's paths, which are of one cell, so that all cells of a block
        come to say the same and can be compared (ours: BossNAS has one cell in a block).
        """
        cells = set(trainable_cells(self._supernet.block)) - {path.cell for path in paths}
        paths = [*paths, *(self._random_path(cell) for cell in sorted(cells))]
        sums: list[Tensor | float] = [0.0, 0.0]
        for index, path in enumerate(paths):
            for side, view in enumerate(batch.pair(index)):
                embeddings = embed(self._target, self._target_projector, view, path)
                sums[side] = sums[side] + normalize(embeddings, dim=1) / len(paths)
        first, second = sums
        assert isinstance(first, Tensor)
        assert isinstance(second, Tensor)
        return first, second

    def _random_path(self, cell: int) -> Path:
        layers = self._supernet.block.cells[cell].candidates
        choices = tuple(int(torch.randint(len(candidates), ())) for candidates in layers)
        return Path(self._supernet.block.block_id, cell, choices)

    def _against_collapse(self, embeddings: Tensor) -> Tensor:
        """Compute how much the dimensions of embeddings [N, D] lack variance over images, and repeat each other.

        DNA++ is said to prevent collapse and to encourage divergence among samples, but not how. The form is ours, in
        the manner of VICReg (arXiv 2105.04906): what deviations lack, and squared correlations of dimensions. VICReg
        asks for more deviation and for small covariances; on embeddings of one length, that drowned what views share.
        """
        width = embeddings.shape[1]
        scaled = normalize(embeddings, dim=1) * width**0.5
        centred = scaled - scaled.mean(0)
        deviation = (centred.square().mean(0) + 1e-4).sqrt()
        correlation = (centred / deviation).T @ (centred / deviation) / len(embeddings)
        variance_loss: Tensor = (LEAST_DEVIATION - deviation).clamp_min(0).mean()
        covariance_loss: Tensor = (correlation.square().sum() - correlation.diagonal().square().sum()) / width**2
        settings = self._settings
        return settings.variance_weight * variance_loss + settings.covariance_weight * covariance_loss

    @torch.no_grad()
    def after_step(self, share: float) -> None:
        """Move the target towards the supernet, ever less: after step k of K, it keeps a share m of what it was.

        m = 1 - (1 - m0)(cos(pi k / K) + 1) / 2, as in BYOL and BossNAS; k starts anew in each block.
        """
        momentum = 1 - (1 - self._settings.momentum) * (math.cos(math.pi * share) + 1) / 2
        for target, online in ((self._target, self._supernet), (self._target_projector, self._projector)):
            for mine, other in zip(target.parameters(), online.parameters(), strict=True):
                mine.lerp_(other, 1 - momentum)

    def end_epoch(self, epoch: int, log: Log) -> None:
        """Log how well embeddings tell images apart, as means over the epoch; CollapseError if they do not."""
        spreads, agreements = (sum(each) / len(each) for each in (self._spreads, self._agreements))
        self._spreads, self._agreements = [], []
        log("embedding_spread", spreads, epoch)
        log("image_agreement", agreements, epoch)
        require_distinct(self._supernet.block.block_id, f"in epoch {epoch}", spreads, agreements)


def embed(supernet: BlockSupernet, projector: Projector, inputs: Tensor, path: Path) -> Tensor:
    """Embed inputs [N, ...] of a block by a path, [N, D], without the adapters to the teacher's widths."""
    device = inputs.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        outputs = supernet.enter(path.cell, inputs)
        for operation in supernet.operations(path):
            outputs = operation(outputs)
    embeddings: Tensor = projector(outputs)
    return embeddings


def _distance(predicted: Tensor, target: Tensor) -> Tensor:
    """The squared distance between embeddings [N, D] of length 1, 0 to 4, as a mean over images."""
    return 2 - 2 * cosine_similarity(predicted, target).mean()


class SiameseSupervision(Supervision):
    """Batches are pairs of views of images, through the network before it learnt anything, with weights by seed.

    So blocks depend on no other block. The pass through the network is shared by the blocks of a group.

    Args:
        sources: What the run has to learn from; neither labels nor what a teacher learnt is read.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources, train = sources, sources.train
        self._augmenter = Augmenter(sources.settings.augment, train.in_shape[1], train.mean, train.std)
        self.num_steps = num_batches(len(train), sources.settings.batch_size)

    def batches(self, epoch: int, block_ids: Sequence[int]) -> Iterator[list[Views]]:
        """Yield, for each step of an epoch, the views of the same images as each of ``block_ids`` sees them."""
        sources, num_pairs = self._sources, self._sources.settings.siamese.pairs
        seed, batch_size = sources.seed, sources.settings.batch_size
        order = list(epoch_batches(len(sources.train), batch_size, derive_seed(seed, "order", epoch)))

        def views(offset: int) -> Tensor:
            images = sources.train.read(order[offset])
            seeds = [derive_seed(seed, "view", epoch, offset, view) for view in range(2 * num_pairs)]
            return torch.cat([self._augmenter(images, each) for each in seeds])

        for images in ahead(views, range(len(order)), sources.num_loaders):
            features = cut_features(sources.teacher, images.to(sources.device), max(block_ids))
            yield [Views(*features[block_id].unflatten(0, (2, num_pairs, -1))) for block_id in block_ids]

    def lesson(self, supernet: BlockSupernet) -> EnsembleBootstrapping:
        """Start the twins of a fresh supernet as equals, and return what it learns."""
        return EnsembleBootstrapping(supernet, self._sources.settings.siamese)


def require_learnable(block: BlockSpace) -> None:
    """Require that each cell of a block has weights that learn.

    Raises:
        ConfigError: A cell is the teacher's unchanged block, or leaves the block out.
    """
    fixed = sorted(set(range(len(block.cells))) - set(trainable_cells(block)))
    if fixed:
        names = ", ".join(block.cells[cell].candidates[0][0].name for cell in fixed)
        raise ConfigError(
            f"distill.supervision is siamese, so each cell of block {block.block_id} must have weights that learn, but "
            f"{names} has none. Set search_space.keep_teacher and allow_skip to false, or let the function in "
            "search_space.name give other cells."
        )


def new(sources: Sources) -> SiameseSupervision:
    """Make the self-supervision."""
    return SiameseSupervision(sources)
