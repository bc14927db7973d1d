"""The teacher's network before it has a teacher's weights, from wherever ``teacher.source`` says."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from helixnas.artifacts import folder
from helixnas.config.schema import Teacher
from helixnas.errors import ConfigError
from helixnas.teacher import FromPixels, check, create, load_program

PROGRAM = folder("teacher") / "network.pt2"
"""The exported network of a teacher from the registry, whose aliases may move on."""
Shape = tuple[int, int, int]


def is_registered(settings: Teacher) -> bool:
    """Whether the teacher comes from MLflow's registry."""
    return settings.source.startswith("models:/")


def fetch(root: Path, experiment: str, settings: Teacher, program: Path) -> tuple[str, Tensor]:
    """Copy a registered teacher's exported network to ``program``; which version it is, for people, and what it saw.

    That is the digests of the images that it was trained or chosen by. PromotionError where they were not recorded.
    """
    from helixnas import tracking  # MLflow takes seconds to import, and other teachers do not need it

    version, seen = tracking.fetch_program(tracking.open_store(root, experiment), settings.source, program)
    return f"version {version.version} of {version.name}", seen


def require_frozen(settings: Teacher, num_classes: int | None) -> None:
    """ConfigError where a teacher is to be trained on images that have no labels (``num_classes`` is None)."""
    epochs = settings.recipe.epochs
    if num_classes is None and epochs:
        raise ConfigError(
            f"teacher.recipe.epochs must be 0 where the images have no labels to train by, but is {epochs}. "
            "Set it to 0 and bring a trained teacher: teacher.weights, teacher.pretrained or one of the registry."
        )


def asked_blocks(settings: Teacher) -> int | list[list[str]]:
    """What to cut the teacher into: so many blocks, or those that are listed."""
    return settings.blocks if isinstance(settings.blocks, list) else len(settings.block_ids)


def new_network(
    program: Path,
    settings: Teacher,
    in_shape: Shape,
    num_classes: int | None,
    mean: Sequence[float],
    std: Sequence[float],
) -> nn.Module:
    """The network, from ``program`` if it is registered; takes images normalised with ``mean`` and ``std``."""
    if not is_registered(settings):
        return create(settings, in_shape, num_classes)
    network = FromPixels(load_program(program), mean, std)
    check(network, in_shape, num_classes)
    return network
