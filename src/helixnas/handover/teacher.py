"""The trained teacher, and what is known of it."""

from pathlib import Path

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cut import Boundaries, CutTeacher, recut
from helixnas.data import ImageSet
from helixnas.errors import ConfigError, CutError
from helixnas.handover.network import PROGRAM, new_network
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_cut, load_specs, stale
from helixnas.results import (
    LayerLoss,
    TeacherAccuracy,
)
from helixnas.search_space import SearchSpace

NUM_PROOF_IMAGES = 8


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
        raise stale(root, "teacher.safetensors", "teacher.source and teacher.model_args") from error
    example = train.first(NUM_PROOF_IMAGES).normalized()
    try:
        teacher = recut(network, Boundaries.from_json(load_cut(root)["boundaries"]), load_specs(root), example)
    except CutError as error:
        raise stale(root, "cut.json", "data.image_size") from error
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
