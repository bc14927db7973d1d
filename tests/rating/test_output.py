"""Rating at the output: what the network says with a path in its place, and which paths are spared the tail."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.progress import silent
from helixnas.rating import Sources, rate
from helixnas.rating.output import OutputCriterion, promising
from helixnas.results import RatingTable
from helixnas.search_space import BlockSpace, SearchSpace
from helixnas.student import BlockSupernet, StudentNetwork, recalibrate
from helixnas.teacher import feature_statistics

BLOCK_ID = 1
RateOutput = Callable[..., RatingTable]


@pytest.fixture
def block(space: SearchSpace) -> BlockSpace:
    return space.blocks[BLOCK_ID]


@pytest.fixture
def images(parts: dict[str, ImageSet]) -> Tensor:
    return parts["rating"].normalized()[:40]


@pytest.fixture
def calibration(parts: dict[str, ImageSet]) -> Tensor:
    return parts["train"].normalized()[:64]


@pytest.fixture
def supernet(block: BlockSpace, teacher: CutTeacher, calibration: Tensor) -> BlockSupernet:
    recalibrate(teacher.network, [calibration])
    torch.manual_seed(0)
    return BlockSupernet(block, teacher.blocks[BLOCK_ID]).eval()


@pytest.fixture
def rated(
    supernet: BlockSupernet, teacher: CutTeacher, config: RunConfig, images: Tensor, calibration: Tensor
) -> RateOutput:
    def rated(share: float = 1.0, memory_bytes: int = 2**30) -> RatingTable:
        settings = config.rating.model_copy(update={"tail_share": share})
        moments = feature_statistics(teacher, [images])[BLOCK_ID]
        criterion = OutputCriterion(Sources(supernet, {}, teacher, (moments.mean, moments.variance), settings))
        with torch.no_grad():
            inputs = criterion.read(calibration).inputs
        batches = [lambda some=some: criterion.read(some) for some in images.split(20)]
        return rate(supernet, supernet.block, criterion, inputs, batches, 0, silent, memory_bytes)

    return rated


def test_a_rating_is_the_divergence_of_the_student_with_this_path_alone(
    rated: RateOutput, supernet: BlockSupernet, teacher: CutTeacher, images: Tensor, calibration: Tensor
) -> None:
    """The student is recalibrated as a whole. Blocks before the path are the teacher's on calibrated statistics."""
    table = rated()
    with torch.no_grad():
        wanted = teacher.network(images).double().log_softmax(1)
    for index, path in enumerate(supernet.block.paths()):
        blocks = list(teacher.blocks)
        blocks[BLOCK_ID] = nn.Sequential(*supernet.operations(path))
        student = StudentNetwork(teacher.stem, blocks, teacher.head)
        state = {name: tensor.clone() for name, tensor in student.state_dict().items()}
        if not supernet.block.cells[path.cell].is_teacher:
            recalibrate(student, [calibration])
        with torch.no_grad():
            said = student(images).double().log_softmax(1)
        student.load_state_dict(state)
        expected = torch.nn.functional.kl_div(said, wanted, reduction="batchmean", log_target=True)
        assert table.ratings[index] == pytest.approx(float(expected), rel=1e-3, abs=1e-9)


def test_paths_that_are_spared_have_the_worst_number_of_those_that_imitate_better(rated: RateOutput) -> None:
    whole, some = rated(), rated(0.5)
    is_same = [a == b for a, b in zip(whole.ratings, some.ratings, strict=True)]
    assert sum(is_same) == (len(is_same) + 1) // 2
    spared = [rating for rating, same in zip(some.ratings, is_same, strict=True) if not same]
    ran = [rating for rating, same in zip(some.ratings, is_same, strict=True) if same]
    assert all(rating >= sorted(ran)[1] for rating in spared)  # the best is the teacher's own block, of 0
    assert some.ratings[0] == 0


def test_a_memory_bound_changes_no_bit_of_a_screened_rating(rated: RateOutput) -> None:
    assert rated(0.5, memory_bytes=1) == rated(0.5)


def test_a_path_that_gives_no_number_is_told_though_it_is_spared(rated: RateOutput, supernet: BlockSupernet) -> None:
    *_, last = supernet.block.paths()
    supernet.operations(last)[0].apply(lambda module: [p.data.fill_(torch.nan) for p in module.parameters()])
    assert any(rating != rating for rating in rated(0.3).ratings)


def test_fronts_are_taken_whole_while_there_is_room_and_evenly_then() -> None:
    losses, madds = [0.0, 1.0, 2.0, 3.0, 1.5, 2.5, 9.0], [9, 6, 4, 1, 7, 5, 9]
    assert promising(losses, madds, 4) == [0, 1, 2, 3]
    assert promising(losses, madds, 6) == [0, 1, 2, 3, 4, 5]
    assert promising(losses, madds, 2) == [0, 3]
    assert promising(losses, madds, 1) == [0]
    assert sorted(promising(losses, madds, 7)) == list(range(7))


def test_ties_are_on_one_front_only_once() -> None:
    assert promising([1.0, 1.0, 2.0], [5, 5, 5], 2) == [0, 1]
