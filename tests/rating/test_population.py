"""Rated by the distance to the population: near the centre is good, in a unit that blocks share."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill.siamese import EnsembleBootstrapping
from helixnas.errors import ArtifactError, CollapseError
from helixnas.progress import silent
from helixnas.rating import Leaf, Sources, rate
from helixnas.rating.population import PopulationCriterion
from helixnas.search_space import BlockSpace, Cell, SearchSpace, build, mbconv
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch

BLOCK_ID = 1
NUM_IMAGES, WIDTH = 200, 16


@pytest.fixture
def space(teacher: CutTeacher, config: RunConfig) -> SearchSpace:
    return build(teacher.specs, config.search_space.model_copy(update={"keep_teacher": False}))


def new_criterion(block: BlockSpace, teacher: CutTeacher, config: RunConfig) -> PopulationCriterion:
    torch.manual_seed(0)
    supernet = BlockSupernet(block, teacher.blocks[BLOCK_ID]).eval().requires_grad_(False)
    beside = EnsembleBootstrapping(supernet, config.distill.siamese).beside.state_dict()
    return PopulationCriterion(Sources(supernet, beside, teacher, None, config.rating))


@pytest.fixture
def criterion(space: SearchSpace, teacher: CutTeacher, config: RunConfig) -> PopulationCriterion:
    """What it reads as the embedding of an image is what a path puts out."""
    made = new_criterion(space.blocks[BLOCK_ID], teacher, config)
    made._embed = made._predict = nn.Identity()  # type: ignore[assignment]
    return made


def ratings(criterion: PopulationCriterion, embeddings: Sequence[Tensor]) -> list[float]:
    """The ratings of paths that say ``embeddings`` [N, D] of both views, and the same of the calibration images."""
    both = [torch.cat([each, each]) for each in embeddings]

    def walk(supernet: BlockSupernet | None = None) -> Iterator[Leaf]:
        for path, each in zip(criterion._block.paths(), both, strict=True):
            yield Leaf(path, each, iter([each]))

    batch = BlockBatch(both[0], torch.empty(NUM_IMAGES, 0))
    return [float(torch.cat(list(each)).mean()) for each in criterion.numbers(walk, [batch])]


def population(shared: float) -> list[Tensor]:
    """Four paths that say much the same, one that says the same of all images, one that says something else.

    Args:
        shared: A part of what every path says, whatever the image.
    """
    torch.manual_seed(0)
    common = torch.randn(NUM_IMAGES, WIDTH)
    alike = [common + 0.1 * torch.randn(NUM_IMAGES, WIDTH) for _ in range(4)]
    constant = normalize(sum(alike) + 4 * shared, dim=1).mean(0).expand(NUM_IMAGES, WIDTH) - shared
    return [each + shared for each in (*alike, constant, torch.randn(NUM_IMAGES, WIDTH))]


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_0_is_the_centre_and_1_a_constant_however_alike_the_embeddings_of_images_are(
    criterion: PopulationCriterion, shared: float
) -> None:
    *alike, constant, other = ratings(criterion, population(shared))
    assert all(0 < rating < 0.3 for rating in alike)
    assert constant == pytest.approx(1, abs=0.1)
    assert other > 0.7


def test_a_population_that_says_the_same_of_all_images_makes_no_table(criterion: PopulationCriterion) -> None:
    with pytest.raises(CollapseError, match=r"block 1 must .* on the calibration images, as the mean of all paths,"):
        ratings(criterion, population(100.0))


def test_a_supernet_of_another_supervision_is_refused(
    space: SearchSpace, teacher: CutTeacher, config: RunConfig
) -> None:
    supernet = BlockSupernet(space.blocks[BLOCK_ID], teacher.blocks[BLOCK_ID])
    with pytest.raises(ArtifactError, match=r"block 1 must come with .* siamese, but does not\. Run `dvc"):
        PopulationCriterion(Sources(supernet, {}, teacher, None, config.rating))


def test_an_image_is_read_as_a_whole_and_from_its_middle(
    space: SearchSpace, teacher: CutTeacher, config: RunConfig
) -> None:
    images = torch.zeros(3, 1, 10, 10)
    images[:, :, 0], images[:, :, :, -1] = 5.0, 5.0  # a frame, which the middle leaves out
    batch = new_criterion(space.blocks[BLOCK_ID], teacher, config).read(images)
    inputs, blank = batch.inputs, new_criterion(space.blocks[BLOCK_ID], teacher, config).read(0 * images).inputs
    assert (len(inputs), len(batch.targets)) == (6, 3)
    assert torch.equal(inputs[3:], blank[3:])
    assert not torch.equal(inputs[:3], blank[:3])


def test_paths_of_all_widths_are_embedded_without_the_adapters_to_the_teachers(
    space: SearchSpace, teacher: CutTeacher, parts: dict[str, ImageSet], config: RunConfig
) -> None:
    cells = tuple(Cell((width,), (2,), ((mbconv(3, 3, 0), mbconv(5, 3, 0)),)) for width in (8, 24))
    block = BlockSpace(space.blocks[BLOCK_ID].spec, cells)
    criterion = new_criterion(block, teacher, config)
    supernet = BlockSupernet(block, teacher.blocks[BLOCK_ID]).eval().requires_grad_(False)
    assert len(supernet.adapters.exits) == 2
    calibration = criterion.read(parts["train"].normalized()[:64]).inputs
    batches = [lambda: criterion.read(parts["rating"].normalized()[:40])]
    table = rate(supernet, block, criterion, calibration, batches, 0, silent, 2**30)
    assert table.num_images == 40
    assert len(set(table.ratings)) == 4
