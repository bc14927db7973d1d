"""What every criterion must fulfil, whatever it reads."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig
from helixnas.config.load import check
from helixnas.config.schema import Rating, Siamese
from helixnas.config.values import Criterion as Name
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill.siamese import EnsembleBootstrapping
from helixnas.errors import ConfigError
from helixnas.progress import silent
from helixnas.rating import Criterion, Leaf, Sources, open_criterion, rate
from helixnas.results import RatingTable
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet, recalibrate
from helixnas.teacher import feature_statistics
from tests.contracts.conftest import TOYS

BLOCK_ID = 1
WITHOUT_TEACHER = {"population", "toy_population"}
"""Criteria that do not compare with the teacher, whose own block is then a path like others."""


class Rated:
    """Block 1 of a teacher, rated by one criterion on 40 images."""

    def __init__(
        self,
        name: str,
        teacher: CutTeacher,
        space: SearchSpace,
        parts: dict[str, ImageSet],
        settings: Rating,
        siamese: Siamese,
    ) -> None:
        self.name, self.block, self.teacher = name, space.blocks[BLOCK_ID], teacher
        recalibrate(teacher.network, [parts["train"].normalized()[:64]])  # as if it had been trained
        self.images = parts["rating"].normalized()[:40]
        statistics = feature_statistics(teacher, [self.images])[BLOCK_ID]
        torch.manual_seed(0)
        self.supernet = BlockSupernet(self.block, teacher.blocks[BLOCK_ID]).eval()
        self.supernet.requires_grad_(False)
        self.mean = statistics.mean.float()
        moments = statistics.mean, statistics.variance
        beside = EnsembleBootstrapping(self.supernet, siamese).beside.state_dict() if name == "population" else {}
        self.criterion: Criterion = open_criterion(name, Sources(self.supernet, beside, teacher, moments, settings))
        self.calibration = self.criterion.read(parts["train"].normalized()[:64]).inputs

    def rate(self, images: Tensor | None = None, size: int = 20, memory_bytes: int = 2**30) -> RatingTable:
        images = self.images if images is None else images
        batches = [partial(self.criterion.read, some) for some in images.split(size)]
        return rate(self.supernet, self.block, self.criterion, self.calibration, batches, 0, silent, memory_bytes)


@pytest.fixture(params=[*get_args(Name), *TOYS["rating"]])
def rated(
    request: pytest.FixtureRequest,
    teacher: CutTeacher,
    space: SearchSpace,
    parts: dict[str, ImageSet],
    config: RunConfig,
) -> Rated:
    return Rated(request.param, teacher, space, parts, config.rating, config.distill.siamese)


def test_it_is_called_as_its_file_is(rated: Rated) -> None:
    assert rated.criterion.name == rated.name == rated.rate().criterion


@torch.inference_mode()
def test_each_path_has_the_number_that_it_has_alone(rated: Rated) -> None:
    """By the long way: a copy for each path, recalibrated as a whole and run from the block's input."""
    batches = [rated.criterion.read(images) for images in rated.images.split(20)]

    def naive(supernet: BlockSupernet | None = None) -> Iterator[Leaf]:
        for path in rated.block.paths():
            alone = copy.deepcopy(supernet or rated.supernet)
            network = nn.Sequential(*alone.operations(path))
            is_teacher = rated.block.cells[path.cell].is_teacher
            if not is_teacher:
                recalibrate(network, [rated.calibration])
            calibration = None if is_teacher else network.train()(rated.calibration)
            network.eval()
            yield Leaf(path, calibration, iter([alone(batch.inputs, path) for batch in batches]))

    numbers = [torch.cat(list(each)) for each in rated.criterion.numbers(naive, batches)]
    assert all(each.dtype == torch.float64 and each.shape == (40,) for each in numbers)
    assert rated.rate().ratings == pytest.approx([float(each.mean()) for each in numbers], rel=1e-5, abs=1e-12)


def test_paths_are_told_apart_and_all_numbers_are_finite(rated: Rated) -> None:
    table = rated.rate().check(rated.block)
    assert len(set(table.ratings)) == rated.block.num_paths


def test_it_repeats_to_the_bit(rated: Rated) -> None:
    assert rated.rate() == rated.rate()


def test_neither_the_order_of_images_nor_the_batch_size_matters(rated: Rated) -> None:
    whole = rated.rate()
    for images, size in ((rated.images.flip(0), 20), (rated.images, 40), (rated.images, 39), (rated.images, 7)):
        other = rated.rate(images, size)
        assert other.ratings == pytest.approx(whole.ratings, rel=1e-5, abs=1e-9)
        assert other.num_images == 40


def test_a_memory_bound_changes_no_bit(rated: Rated) -> None:
    assert rated.rate(size=10, memory_bytes=1) == rated.rate(size=10)


def test_it_changes_neither_a_weight_nor_the_teacher(rated: Rated) -> None:
    teacher = {name: tensor.clone() for name, tensor in rated.teacher.network.state_dict().items()}
    weights = {name: tensor.clone() for name, tensor in rated.supernet.named_parameters()}
    rated.rate()
    assert all(torch.equal(tensor, teacher[name]) for name, tensor in rated.teacher.network.state_dict().items())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in rated.supernet.named_parameters())
    assert not rated.supernet.training


class Spoilt(nn.Module):
    """The teacher's block with a share of something else in its output."""

    def __init__(self, block: nn.Module, other: Callable[[Tensor], Tensor], share: float) -> None:
        super().__init__()
        self._block, self._other, self._share = copy.deepcopy(block), other, share

    def forward(self, x: Tensor) -> Tensor:
        y = self._block.eval()(x)  # with the teacher's statistics, recalibrated or not
        return (1 - self._share) * y + self._share * self._other(y)


def spoilt(rated: Rated, other: Callable[[Tensor], Tensor], *shares: float) -> list[float]:
    """The ratings of a path that is the teacher's block but for ``shares`` of something else."""
    (layer,) = rated.supernet.layers(1)
    found = []
    for share in shares:
        layer[0] = Spoilt(rated.teacher.blocks[BLOCK_ID], other, share)
        found.append(rated.rate().ratings[1])
    return found


def test_low_is_good_and_the_teachers_own_block_is_0(rated: Rated) -> None:
    """The more a path mixes up the teacher's channels, the higher is its number."""
    if rated.name in WITHOUT_TEACHER:
        pytest.skip("does not compare with the teacher")
    worse = spoilt(rated, lambda y: y.roll(1, dims=1), 0.1, 0.3, 1.0)
    assert rated.rate().ratings[0] == pytest.approx(0, abs=1e-9)
    assert 1e-6 < worse[0] < worse[1] < worse[2]


def test_the_best_constant_has_the_number_that_the_criterion_names(rated: Rated) -> None:
    if rated.criterion.constant is None:
        pytest.skip("knows no such number")
    (found,) = spoilt(rated, rated.mean[:, None, None].expand_as, 1.0)
    assert found == pytest.approx(rated.criterion.constant, rel=1e-5)


def test_an_unknown_criterion_is_told_with_those_that_exist(config: RunConfig) -> None:
    values = config.model_dump()
    values["rating"]["criterion"] = "taste"
    with pytest.raises(
        ConfigError, match=r"^rating\.criterion: .*'feature', 'output' or 'population', but is 'taste'\. Change it"
    ):
        check(values)
