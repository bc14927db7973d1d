"""What stages read of each other: one loader per artifact, so that each is spelt once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.cost import without_dearer
from helixnas.cut import Boundaries, CutTeacher, recut
from helixnas.data import ImageSet
from helixnas.errors import ArtifactError, ConfigError, CutError, SpaceMismatchError
from helixnas.results import (
    Cost,
    CostTable,
    LayerLoss,
    RatingTable,
    SearchResult,
    TeacherAccuracy,
    search_result_from_json,
)
from helixnas.search_space import Architecture, SearchSpace, build
from helixnas.stages.network import PROGRAM, new_network
from helixnas.student import BlockSupernet, num_calibration_images, register_custom
from helixnas.teacher import BlockBatch, DistillLoss, block_batch

NUM_PROOF_IMAGES = 8
LABELS = folder("teacher") / "labels.safetensors"
"""What the teacher says of each image, for images that have no labels of their own."""
SEEN = folder("teacher") / "seen.safetensors"
"""The digests of the images that a student has seen in training, by itself or by way of a teacher of the registry."""


def load_part(root: Path, name: str, num_loaders: int = 0) -> ImageSet:
    """The part ``train``, ``rating`` or ``test``. Where the images have no labels, the teacher's top-1 stands for them.

    ``num_loaders`` processes read ahead where images are decoded when they are needed. ArtifactError where the
    teacher's labels are missing, or were made for another split.
    """
    part = ImageSet.load(root / folder("data") / name, num_loaders)
    if part.is_labelled:
        return part
    tensors, facts = artifacts.load_tensors(root / LABELS, "labels")
    if facts["split"] != part.split:
        raise ArtifactError(f"{root / LABELS} must be of the images in the parts, but is of others. Run `dvc repro`.")
    return replace(part, labels=tensors[name], class_names=tuple(map(str, range(facts["num_classes"]))))


def load_raw_part(root: Path, name: str, num_loaders: int = 0) -> ImageSet:
    """The same as the data stage made it: for those who come before the teacher."""
    return ImageSet.load(root / folder("data") / name, num_loaders)


def load_calibration(root: Path, config: RunConfig, space: SearchSpace) -> ImageSet:
    """The train images on which the BatchNorm statistics of whole students are measured."""
    train, asked = load_part(root, "train"), config.rating.num_calibration_images
    return train.first(num_calibration_images(asked, len(train), [block.spec for block in space.blocks]))


def load_specs(root: Path) -> tuple[BlockSpec, ...]:
    """What the blocks of the cut teacher do."""
    return tuple(map(_spec, _cut(root)["blocks"]))


def _spec(value: Mapping[str, Any]) -> BlockSpec:
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return BlockSpec(**fields)


def _cut(root: Path) -> Mapping[str, Any]:
    value: Mapping[str, Any] = artifacts.load_json(root / folder("teacher") / "cut.json", "cut")
    return value


def load_space(root: Path, config: RunConfig) -> SearchSpace:
    """The search space of the cut teacher; SpaceMismatchError if it was cut into other blocks."""
    if _cut(root)["asked"] != config.teacher.blocks:
        raise _stale(root, "cut.json", "teacher.blocks")
    return new_space(load_specs(root), config)


def new_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """The search space of ``specs``, without what is dearer than the teacher's blocks where that is to be dropped."""
    space = whole_space(specs, config)
    return without_dearer(space) if config.search_space.drop_dearer else space


def whole_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """All that ``search_space`` names for ``specs``, the user's own operations made known first."""
    register_custom(config.search_space.operations, config.search_space.token_operations)
    return build(specs, config.search_space)


def load_teacher(root: Path, config: RunConfig, device: torch.device) -> CutTeacher:
    """The trained teacher in pieces, proved again on a few train images.

    SpaceMismatchError if another teacher was trained, or for images of another size.
    """
    train = load_part(root, "train")
    network = _untrained(root, config, train)
    weights, _ = artifacts.load_tensors(root / folder("teacher") / "teacher.safetensors", "teacher")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise _stale(root, "teacher.safetensors", "teacher.source and teacher.model_args") from error
    example = train.first(NUM_PROOF_IMAGES).normalized()
    try:
        teacher = recut(network, Boundaries.from_json(_cut(root)["boundaries"]), load_specs(root), example)
    except CutError as error:
        raise _stale(root, "cut.json", "data.image_size") from error
    teacher.to(device)
    network.requires_grad_(False)
    return teacher


def load_teacher_accuracy(root: Path) -> TeacherAccuracy | None:
    """How good the teacher is on the rating part; None where the images have no labels."""
    value = artifacts.load_json(root / folder("teacher") / "accuracy.json", "accuracy")
    return None if value is None else TeacherAccuracy(**value)


def load_layer_losses(root: Path) -> tuple[LayerLoss, ...]:
    """What leaving out each layer of the teacher costs, untrained."""
    rows = artifacts.load_json(root / folder("teacher") / "layers.json", "layers")
    return tuple(LayerLoss(**row) for row in rows)


def new_teacher(root: Path, config: RunConfig, trained: CutTeacher) -> CutTeacher:
    """The teacher's network made anew, cut as the trained one: its weights are drawn from torch's global generator.

    ConfigError where the source makes a network that knows what the trained one knows.
    """
    train = load_part(root, "train")
    network = _untrained(root, config, train)
    known = dict(trained.network.named_parameters())
    for name, parameter in network.named_parameters():
        is_constant = bool((parameter == parameter.flatten()[:1]).all())
        if parameter.is_floating_point() and not is_constant and torch.equal(parameter, known[name].cpu()):
            raise ConfigError(
                f"retrain.init is scratch, so {config.teacher.source} must make a network without trained weights, but "
                f"its {name} is the trained teacher's to the bit. Set retrain.init: inherit in params.yaml."
            )
    return recut(network, trained.boundaries, trained.specs, train.first(NUM_PROOF_IMAGES).normalized())


def _untrained(root: Path, config: RunConfig, train: ImageSet) -> nn.Module:
    """The teacher's network as its source makes it, without weights that it is told to take."""
    settings = config.teacher.model_copy(update={"pretrained": False, "weights": None})
    return new_network(root / PROGRAM, settings, train.in_shape, train.num_classes, train.mean, train.std)


def load_feature_moments(root: Path, block_id: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of a block's output over the train part, float64 [C] each."""
    tensors, _ = artifacts.load_tensors(root / folder("teacher") / "features.safetensors", "features")
    return tensors[f"block_{block_id}.mean"], tensors[f"block_{block_id}.variance"]


def load_variances(root: Path, space: SearchSpace) -> list[Tensor]:
    """The variance of each block's output over the train part, float64 [C] each."""
    return [load_feature_moments(root, block.block_id)[1] for block in space.blocks]


def load_supernet(root: Path, space: SearchSpace, teacher: CutTeacher, block_id: int) -> BlockSupernet:
    """A distilled supernet in eval mode; SpaceMismatchError if it is of another space or another teacher."""
    path = root / folder("distill", block_id) / "supernet.safetensors"
    tensors, facts = artifacts.load_tensors(path, "supernet")
    _require_space(path, facts["space"], space)
    supernet = BlockSupernet(space.blocks[block_id], teacher.blocks[block_id])
    try:
        supernet.load_state_dict(tensors)
    except RuntimeError as error:  # the teacher's own block is a part of it
        raise SpaceMismatchError(f"{path} must belong to this teacher, but does not. Run `dvc repro`.") from error
    return supernet.requires_grad_(False).eval()


def load_loss(root: Path, supernet: BlockSupernet) -> DistillLoss:
    """The loss of a block, in units of the variance of what its cells imitate."""
    if supernet.target is not None:
        return DistillLoss(supernet.target.variance)
    _, variance = load_feature_moments(root, supernet.block.block_id)
    return DistillLoss(variance)


def aimed_batch(supernet: BlockSupernet, teacher: CutTeacher, images: Tensor) -> BlockBatch:
    """What goes into the teacher's block for normalised images, and what the supernet's cells imitate."""
    batch = block_batch(teacher, supernet.block.block_id, images)
    return BlockBatch(batch.inputs, supernet.aim(batch.targets))


def load_ratings(root: Path, space: SearchSpace) -> tuple[RatingTable, ...]:
    """The rating table of every block, complete and finite, or ArtifactError."""
    return tuple(_rating(root, space, block_id) for block_id in range(len(space.blocks)))


def _rating(root: Path, space: SearchSpace, block_id: int) -> RatingTable:
    path = root / folder("rating", block_id) / "rating.parquet"
    frame, facts = artifacts.load_table(path, "rating")
    _require_space(path, facts["space"], space)
    losses = tuple(map(float, frame["distill_loss"]))
    table = RatingTable(block_id, tuple(frame["path"]), losses, facts["num_images"], facts["seed"])
    with _reading(path):
        return table.check(space.blocks[block_id])


def load_costs(root: Path, space: SearchSpace, *, is_measured: bool) -> tuple[CostTable, ...]:
    """The cost table of every block. ``is_measured`` adds this machine's latency; without it latency_ms is None."""
    return tuple(_costs(root, space, block_id, is_measured) for block_id in range(len(space.blocks)))


def _costs(root: Path, space: SearchSpace, block_id: int, is_measured: bool) -> CostTable:
    path = root / folder("cost") / "counted" / f"block_{block_id}.parquet"
    frame, facts = artifacts.load_table(path, "counted")
    _require_space(path, facts["space"], space)
    latencies: list[float | None] = [None] * len(frame)
    if is_measured:
        measured_path = root / folder("cost") / "measured" / f"block_{block_id}.parquet"
        measured, _ = artifacts.load_table(measured_path, "measured")
        if list(measured["path"]) != list(frame["path"]) or list(measured["in_width"]) != list(frame["in_width"]):
            raise ArtifactError(f"{measured_path} must hold the paths of {path}, but does not. Run `dvc repro cost`.")
        latencies = list(map(float, measured["latency_ms"]))
    rows = zip(frame["madds"], frame["num_params"], latencies, strict=True)
    costs = tuple(Cost(int(madds), int(num_params), latency_ms) for madds, num_params, latency_ms in rows)
    table = CostTable(block_id, tuple(map(int, frame["in_width"])), tuple(frame["path"]), costs)
    with _reading(path):
        return table.check(space.blocks[block_id])


def load_outer_costs(root: Path, *, is_measured: bool) -> tuple[Cost, Cost]:
    """The cost of stem and head together, and of the whole teacher."""
    counted = artifacts.load_json(root / folder("cost") / "counted" / "fixed.json", "fixed")
    latency: dict[str, float | None] = {"fixed": None, "teacher": None}
    if is_measured:
        latency = artifacts.load_json(root / folder("cost") / "measured" / "fixed.json", "measured")["latency_ms"]
    fixed, teacher = (Cost(**counted[name], latency_ms=latency[name]) for name in ("fixed", "teacher"))
    return fixed, teacher


def load_search_result(root: Path, space: SearchSpace) -> SearchResult:
    """What the search decided; SpaceMismatchError if it chose from another space."""
    path = root / folder("search") / "result.json"
    value = artifacts.load_json(path, "search")
    with _reading(path):
        return search_result_from_json(value, space)


def load_chosen(root: Path, space: SearchSpace) -> Architecture:
    """The architecture that the search chose; SpaceMismatchError if it is of another space."""
    path = root / folder("search") / "chosen.json"
    value = artifacts.load_json(path, "chosen")
    with _reading(path):
        return space.parse(value["arch_id"])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with the value that it holds."""
    try:
        yield
    except (ArtifactError, SpaceMismatchError) as error:
        raise type(error)(f"{path} cannot be used. {error}") from error


def _stale(root: Path, name: str, keys: str) -> SpaceMismatchError:
    path = root / folder("teacher") / name
    return SpaceMismatchError(f"{path} must belong to {keys} as they are now, but belongs to others. Run `dvc repro`.")


def _require_space(path: Path, digest: str, space: SearchSpace) -> None:
    if digest != space.digest:
        raise SpaceMismatchError(
            f"{path} must belong to the search space {space.digest}, but belongs to {digest}. Run `dvc repro`."
        )
