"""Students measured together have the losses of each measured alone, and what they share is run once."""

import copy
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.fit import image_losses
from helixnas.search_space import Architecture, SearchSpace
from helixnas.student import BlockSupernet, Together, assemble, losses_together, recalibrate

PLENTY = 2**40


@pytest.fixture
def supernets(space: SearchSpace, teacher: CutTeacher) -> list[BlockSupernet]:
    torch.manual_seed(1)
    pairs = zip(space.blocks, teacher.blocks, strict=True)
    made = [BlockSupernet(block, piece).requires_grad_(False).eval() for block, piece in pairs]
    for parameter in (each for net in made for each in net.parameters()):
        parameter.add_(0.1 * torch.randn_like(parameter))  # a fresh residual branch starts at zero and adds nothing
    return made


@pytest.fixture
def architectures(space: SearchSpace) -> list[Architecture]:
    """Some that part early, some that part late, inside a block or between blocks."""
    paths = [list(block.paths()) for block in space.blocks]
    rows = [(0, 0, 0), (3, 4, 1), (3, 4, 2), (4, 4, 2), (3, 5, 2), (-1, -1, -1), (-1, -2, 0)]
    return [Architecture(tuple(of[row] for of, row in zip(paths, each, strict=True))) for each in rows]


class Calibration:
    """The calibration batches, and how often they were asked for."""

    def __init__(self, part: ImageSet) -> None:
        images = part.first(96).normalized()
        self.batches, self.num_asked = images.split(40), 0

    def __call__(self) -> Iterator[Tensor]:
        self.num_asked += 1
        return iter(self.batches)


def alone(
    teacher: CutTeacher, supernets: list[BlockSupernet], architecture: Architecture, parts: dict[str, ImageSet]
) -> Tensor:
    student = assemble(teacher.stem, supernets, teacher.head, architecture)
    recalibrate(student, Calibration(parts["train"])())
    return image_losses(student, parts["rating"])


@pytest.mark.parametrize("memory_bytes", [PLENTY, 200_000, 0], ids=["all held", "some held", "none held"])
def test_losses_are_those_of_each_student_alone(
    teacher: CutTeacher,
    supernets: list[BlockSupernet],
    architectures: list[Architecture],
    parts: dict[str, ImageSet],
    memory_bytes: int,
) -> None:
    calibration = Calibration(parts["train"])
    outer = copy.deepcopy(teacher.stem), supernets, copy.deepcopy(teacher.head)
    students = Together(*outer, architectures, calibration, memory_bytes)
    losses = losses_together(students, len(architectures), parts["rating"], torch.device("cpu"))
    wanted = torch.stack([alone(teacher, supernets, each, parts) for each in architectures])
    assert torch.allclose(losses, wanted, rtol=1e-5, atol=1e-6)
    assert len({float(mean) for mean in losses.mean(dim=1)}) == len(architectures)
    assert (calibration.num_asked == 1) == (memory_bytes > 0)  # the images go through the stem anew for each branch


def test_what_students_share_is_run_once(
    teacher: CutTeacher, supernets: list[BlockSupernet], architectures: list[Architecture], parts: dict[str, ImageSet]
) -> None:
    runs: Counter[nn.Module] = Counter()
    stem = copy.deepcopy(teacher.stem)
    for operation in (stem, *(op for net in supernets for cell in net.cells for layer in cell for op in layer)):
        operation.register_forward_hook(lambda module, *_: runs.update([module]))
    calibration = Calibration(parts["train"])
    students = Together(stem, supernets, copy.deepcopy(teacher.head), architectures, calibration, PLENTY)
    assert runs[stem] == len(calibration.batches)
    runs.clear()
    told = [index for index, _ in students.logits(parts["rating"].first(4).normalized())]
    assert sorted(told) == list(range(len(architectures)))
    layers = {
        (each.paths[:block], path.cell, path.choices[: layer + 1])
        for each in architectures
        for block, path in enumerate(each.paths)
        for layer in range(len(path.choices))
    }
    assert sum(runs.values()) == 1 + len(layers) < sum(len(p.choices) for each in architectures for p in each.paths)


def test_the_weights_stay(
    teacher: CutTeacher, supernets: list[BlockSupernet], architectures: list[Architecture], parts: dict[str, ImageSet]
) -> None:
    before = [parameter.clone() for net in supernets for parameter in net.parameters()]
    students = Together(teacher.stem, supernets, teacher.head, architectures, Calibration(parts["train"]), PLENTY)
    list(students.logits(parts["rating"].first(4).normalized()))
    after = [parameter for net in supernets for parameter in net.parameters()]
    assert all(map(torch.equal, before, after))
