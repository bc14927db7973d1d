"""Rate a path by how far its embeddings are from the centre of the population: what all paths of the block say.

BossNAS rates so (arXiv 2103.12424, Eq. 5 and 6). No label and nothing that a teacher learnt is read.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate, normalize

from helixnas.errors import ArtifactError
from helixnas.rating.criterion import Leaf, Sources, Walk
from helixnas.student import BlockSupernet, Predictor, Projector, agreement, recalibrate, require_distinct, spread
from helixnas.teacher import BlockBatch, cut_features

READS_TEACHER = False
CROP = 0.8
"""The side of the second view's crop, from the middle of the image, as a share of the image's side."""


class PopulationCriterion:
    """The distance of a path's predictions from the centre, across two views, over the spread of the centre itself.

    The centre of a view is the mean over all paths of the target supernet's embeddings, each of length 1. A path's
    number for an image is the mean of two cosine distances: of what it predicts from the image to the centre of the
    image's middle, and the other way round. The unit is what the best constant prediction would have on the
    calibration images: so 0 is the centre, about 1 is as bad as a constant, and numbers of blocks add up as shares.

    Args:
        sources: What may be read; ``teacher`` is the network before it learnt anything.

    Raises:
        ArtifactError: The supernet was not supervised as ``siamese``.
    """

    name = "population"
    constant = None

    def __init__(self, sources: Sources) -> None:
        self._network, self._block = sources.teacher, sources.supernet.block
        parts = {name: _part(sources.beside, name) for name in ("projector", "predictor", "target.projector")}
        if not all(parts.values()):
            raise ArtifactError(
                f"The supernet of block {self._block.block_id} must come with the projector and predictor of "
                f"distill.supervision: siamese, but does not. Run `dvc repro distill@{self._block.block_id}`."
            )
        device = next(sources.supernet.parameters()).device
        self._supernet = _without_exits(sources.supernet)
        self._target = _without_exits(sources.supernet, _part(sources.beside, "target.supernet"))
        projector = Projector.load(self._block, parts["projector"])
        self._predict = nn.Sequential(projector, Predictor.load(parts["predictor"])).to(device)
        self._embed = Projector.load(self._block, parts["target.projector"]).to(device)

    def read(self, images: Tensor) -> BlockBatch:
        """Compute the block's inputs for normalised images [N, C, H, W] and, behind them, for the middle of each.

        Returns:
            Inputs [2N, ...]; there is nothing to compare with before all paths have run, so the targets are empty.
        """
        height, width = (round(CROP * side) for side in images.shape[2:])
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        middles = images[:, :, top : top + height, left : left + width]
        middles = interpolate(middles, images.shape[2:], mode="bilinear", antialias=False)
        both = torch.cat([images, middles]).contiguous(memory_format=torch.channels_last)
        *_, inputs = cut_features(self._network, both, self._block.block_id)
        return BlockBatch(inputs, images.new_empty(len(images), 0))

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        """Yield, for each path in order, the distance of each image of each batch, in the centre's spread."""
        centres, unit = self._centres(walk, batches)
        for leaf in walk(self._supernet):
            embedded = _embedded(self._predict, leaf)
            yield (_across(*pair) / unit for pair in zip(embedded, centres, strict=True))

    def _centres(self, walk: Walk, batches: Sequence[BlockBatch]) -> tuple[list[Tensor], float]:
        """The centre of each batch's views, float64 [2N, D], and the unit of distances.

        CollapseError where the population does not tell the calibration images apart.
        """
        centres: list[Tensor | float] = [0.0] * len(batches)
        calibrated: Tensor | float = 0.0
        for leaf in walk(self._target):
            if leaf.calibration is None:  # the teacher's own block, which has learnt nothing
                continue
            for index, embeddings in enumerate(_embedded(self._embed, leaf)):
                centres[index] = centres[index] + normalize(embeddings, dim=1) / self._block.num_paths
            (embeddings,) = _embedded(self._embed, replace(leaf, outputs=iter([leaf.calibration])))
            calibrated = calibrated + normalize(embeddings, dim=1)
        found = [centre for centre in centres if isinstance(centre, Tensor)]
        assert isinstance(calibrated, Tensor)
        when = "on the calibration images, as the mean of all paths,"
        require_distinct(self._block.block_id, when, spread(calibrated), agreement(calibrated))
        return found, 1 - float(normalize(calibrated, dim=1).mean(0).norm())


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The state dict of a module inside another's."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _without_exits(supernet: BlockSupernet, tensors: Mapping[str, Tensor] | None = None) -> BlockSupernet:
    """A copy whose paths put out what their last layers do, without adapters to the teacher's widths."""
    made = copy.deepcopy(supernet)
    if tensors is not None:
        made.load_state_dict(tensors)
    made.adapters.exits.clear()
    return made


def _embedded(network: nn.Module, leaf: Leaf) -> Iterator[Tensor]:
    """Embed the leaf's outputs of each batch, float64 [2N, D], with BatchNorm statistics that belong to the leaf."""
    if leaf.calibration is not None:
        network = copy.deepcopy(network)  # its statistics belong to no other leaf
        recalibrate(network, [leaf.calibration])
    return (network(outputs).double() for outputs in leaf.outputs)


def _across(predicted: Tensor, centres: Tensor) -> Tensor:
    """The mean cosine distance of predictions [2N, D] of both views to the centres of the other view, [N]."""
    first, second = predicted.chunk(2)
    centre_first, centre_second = centres.chunk(2)
    return 1 - (cosine_similarity(first, centre_second) + cosine_similarity(second, centre_first)) / 2


def new(sources: Sources) -> PopulationCriterion:
    """Make the criterion."""
    return PopulationCriterion(sources)
