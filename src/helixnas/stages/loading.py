"""What stages read of each other: one loader per artifact, so that each is spelt once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.cost import without_dearer
from helixnas.cost_kinds import counted, measured
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
from helixnas.search_space import Architecture, BlockSpace, SearchSpace, block_from_json, build
from helixnas.stages.network import PROGRAM, new_network
from helixnas.student import BlockSupernet, num_calibration_images, register_custom

if TYPE_CHECKING:
    import pandas as pd

NUM_PROOF_IMAGES = 8
BESIDE = "beside.safetensors"
"""What is saved beside a supernet, in the same folder, by a supervision that saves anything."""
LABELS = folder("teacher") / "labels.safetensors"
"""What the teacher says of each image, for images that have no labels of their own."""
SEEN = folder("teacher") / "seen.safetensors"
"""The digests of the images that a student has seen in training, by itself or by way of a teacher of the registry."""


def load_part(root: Path, name: str) -> ImageSet:
    """The part ``train``, ``rating`` or ``test``. Where the images have no labels, the teacher's top-1 stands for them.

    ArtifactError where the teacher's are missing, or were made for another split.
    """
    part = ImageSet.load(root / folder("data") / f"{name}.safetensors")
    if part.is_labelled:
        return part
    tensors, facts = artifacts.load_tensors(root / LABELS, "labels")
    if facts["split"] != part.split:
        raise ArtifactError(f"{root / LABELS} must be of the images in the parts, but is of others. Run `dvc repro`.")
    return replace(part, labels=tensors[name], class_names=tuple(map(str, range(facts["num_classes"]))))


def load_raw_part(root: Path, name: str) -> ImageSet:
    """The same as the data stage made it: for those who come before the teacher."""
    return ImageSet.load(root / folder("data") / f"{name}.safetensors")


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
    return SearchSpace(tuple(load_block(root, config, block_id) for block_id in range(len(_cut(root)["blocks"]))))


def load_block(root: Path, config: RunConfig, block_id: int) -> BlockSpace:
    """The choices of a block, its custom operations made known; SpaceMismatchError if the teacher was cut elsewhere."""
    if _cut(root)["asked"] != config.teacher.blocks:
        raise _stale(root, "cut.json", "teacher.blocks")
    value = artifacts.load_json(block_file(root, block_id), "search_space")
    is_map = value["block"]["spec"]["layout"] != "NLC"
    names = list(value["custom"].values())
    register_custom(names if is_map else [], [] if is_map else names)
    return block_from_json(value["block"])


def block_file(root: Path, block_id: int) -> Path:
    """The file with the choices of a block, and the digests of their code."""
    return root / folder("search_space") / f"block_{block_id}.json"


def block_files(root: Path, space: SearchSpace) -> list[Path]:
    """The files with the choices of all blocks."""
    return [block_file(root, block.block_id) for block in space.blocks]


def new_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """The search space of ``specs``, without what is dearer than the teacher's blocks where that is to be dropped."""
    space = whole_space(specs, config)
    return without_dearer(space) if config.search_space.drop_dearer else space


def whole_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """All that ``search_space`` names for ``specs``, the user's own operations made known first."""
    settings, ids = config.search_space, [spec.block_id for spec in specs]
    for is_tokens in (False, True):
        names = dict.fromkeys(
            name for block_id in ids for name in settings.operations_of(block_id, is_tokens=is_tokens)
        )
        register_custom([] if is_tokens else list(names), list(names) if is_tokens else [])
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


def load_supernet(root: Path, block: BlockSpace, teacher: CutTeacher) -> BlockSupernet:
    """A distilled supernet in eval mode; SpaceMismatchError if it is of another space or another teacher."""
    path = root / folder("distill", block.block_id) / "supernet.safetensors"
    tensors, facts = artifacts.load_tensors(path, "supernet")
    _require_space(path, facts["space"], block)
    supernet = BlockSupernet(block, teacher.blocks[block.block_id])
    try:
        supernet.load_state_dict(tensors)
    except RuntimeError as error:  # the teacher's own block is a part of it
        raise SpaceMismatchError(f"{path} must belong to this teacher, but does not. Run `dvc repro`.") from error
    return supernet.requires_grad_(False).eval()


def load_beside(root: Path, block_id: int) -> dict[str, Tensor]:
    """What the supervision of a block saved beside the weights of the supernet; empty if it saves nothing."""
    path = root / folder("distill", block_id) / BESIDE
    return artifacts.load_tensors(path, "beside")[0] if path.exists() else {}


def load_ratings(root: Path, space: SearchSpace) -> tuple[RatingTable, ...]:
    """The rating table of every block, complete and finite, or ArtifactError."""
    return tuple(_rating(root, space, block_id) for block_id in range(len(space.blocks)))


def _rating(root: Path, space: SearchSpace, block_id: int) -> RatingTable:
    path = root / folder("rating", block_id) / "rating.parquet"
    frame, facts = artifacts.load_table(path, "ratings")
    _require_space(path, facts["space"], space.blocks[block_id])
    ratings = tuple(map(float, frame["rating"]))
    about = {name: facts[name] for name in ("num_images", "seed", "criterion", "constant")}
    table = RatingTable(block_id, tuple(frame["path"]), ratings, **about)
    with _reading(path):
        return table.check(space.blocks[block_id])


def load_costs(root: Path, space: SearchSpace, kinds: Iterable[str]) -> tuple[CostTable, ...]:
    """The cost table of every block with these kinds of cost, counted ones before those measured on this machine."""
    names = tuple(kinds)
    return tuple(_costs(root, space, block_id, names) for block_id in range(len(space.blocks)))


def _costs(root: Path, space: SearchSpace, block_id: int, kinds: Sequence[str]) -> CostTable:
    path = root / folder("cost") / "counted" / f"block_{block_id}.parquet"
    frame, facts = artifacts.load_table(path, "counted")
    _require_space(path, facts["space"], space.blocks[block_id])
    columns: dict[str, Sequence[float]] = {name: list(map(int, _column(path, frame, name))) for name in counted(kinds)}
    if measured(kinds):
        measured_path = root / folder("cost") / "measured" / f"block_{block_id}.parquet"
        times, _ = artifacts.load_table(measured_path, "measured")
        if list(times["path"]) != list(frame["path"]) or list(times["in_width"]) != list(frame["in_width"]):
            raise ArtifactError(f"{measured_path} must hold the paths of {path}, but does not. Run `dvc repro cost`.")
        columns.update((name, list(map(float, _column(measured_path, times, name)))) for name in measured(kinds))
    costs = tuple(Cost(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))
    table = CostTable(block_id, tuple(map(int, frame["in_width"])), tuple(frame["path"]), costs)
    with _reading(path):
        return table.check(space.blocks[block_id])


def _column(path: Path, frame: "pd.DataFrame", name: str) -> "pd.Series[Any]":
    if name not in frame:
        raise ArtifactError(f"{path} must have {name}, but has not. Run `dvc repro cost`.")
    return frame[name]


def load_outer_costs(root: Path, kinds: Iterable[str]) -> tuple[Cost, Cost]:
    """The cost of stem and head together, and of the whole teacher, with these kinds of cost."""
    names = tuple(kinds)
    parts = {"counted": tuple(counted(names)), "measured": tuple(measured(names))}
    found = {"fixed": Cost(), "teacher": Cost()}
    for part, asked in parts.items():
        if asked:
            value = artifacts.load_json(root / folder("cost") / part / "fixed.json", f"{part} fixed")
            found = {name: cost | Cost(value[name]).only(asked) for name, cost in found.items()}
    return found["fixed"], found["teacher"]


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


def _require_space(path: Path, digest: str, block: BlockSpace) -> None:
    if digest != block.digest:
        raise SpaceMismatchError(
            f"{path} must belong to the search space {block.digest}, but belongs to {digest}. Run `dvc repro`."
        )
