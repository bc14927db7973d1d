"""The teacher's network before it has a teacher's weights, from wherever ``teacher.source`` says."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from helixnas.artifacts import folder
from helixnas.config.schema import Teacher
from helixnas.teacher import FromPixels, check, create, load_program

PROGRAM = folder("teacher") / "network.pt2"
"""The exported network of a teacher from the registry, whose aliases may move on."""
Shape = tuple[int, int, int]


def is_registered(settings: Teacher) -> bool:
    """Whether the teacher comes from MLflow's registry."""
    return settings.source.startswith("models:/")


def fetch(root: Path, experiment: str, settings: Teacher, program: Path) -> None:
    """Copy a registered teacher's exported network to ``program``."""
    from helixnas import tracking  # MLflow takes seconds to import, and other teachers do not need it

    tracking.fetch_program(tracking.open_store(root, experiment), settings.source, program)


def asked_blocks(settings: Teacher) -> int | list[list[str]]:
    """What to cut the teacher into: so many blocks, or those that are listed."""
    return settings.blocks if isinstance(settings.blocks, list) else len(settings.block_ids)


def new_network(
    program: Path,
    settings: Teacher,
    in_shape: Shape,
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> nn.Module:
    """The network, from ``program`` if it is registered; takes images normalised with ``mean`` and ``std``."""
    if not is_registered(settings):
        return create(settings, in_shape, num_classes)
    network = FromPixels(load_program(program), mean, std)
    check(network, in_shape, num_classes)
    return network
