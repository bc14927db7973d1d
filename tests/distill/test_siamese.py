"""Ensemble bootstrapping as BossNAS has it: the target is a mean over paths, across views, that follows slowly."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.distill.siamese import EnsembleBootstrapping, Views, embed, require_learnable
from helixnas.errors import CollapseError, ConfigError
from helixnas.progress import forget
from helixnas.search_space import BlockSpace, Path, SearchSpace, build
from helixnas.student import BlockSupernet, agreement, spread

BLOCK_ID = 1
NewLesson = Callable[..., EnsembleBootstrapping]


@pytest.fixture
def block(space: SearchSpace) -> BlockSpace:
    return space.blocks[BLOCK_ID]


@pytest.fixture
def views() -> Views:
    return Views(*torch.randn(2, 2, 12, 8, 8, 8, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def new_lesson(block: BlockSpace, teacher: CutTeacher, config: RunConfig) -> NewLesson:
    def new(**changes: object) -> EnsembleBootstrapping:
        torch.manual_seed(0)
        supernet = BlockSupernet(block, teacher.blocks[BLOCK_ID])
        return EnsembleBootstrapping(supernet, config.distill.siamese.model_copy(update=changes))

    return new


def of_cell(block: BlockSpace, cell: int) -> list[Path]:
    return [path for path in block.paths() if path.cell == cell]


def losses(lesson: EnsembleBootstrapping, views: Views, paths: list[Path]) -> list[float]:
    torch.manual_seed(1)
    return [float(loss.detach()) for loss in lesson.losses(views, paths)]


def test_each_path_predicts_the_mean_of_all_paths_across_the_views_of_its_own_pair(
    new_lesson: NewLesson, block: BlockSpace, views: Views
) -> None:
    lesson = new_lesson(variance_weight=0.0, covariance_weight=0.0)
    paths = of_cell(block, 1)[:2]
    supernet, target = lesson._supernet, lesson._target
    (other,) = of_cell(block, 2)[:1]
    lesson._random_path = lambda cell: other  # type: ignore[method-assign]  # the one path of the other cell

    @torch.no_grad()
    def target_of(view: Tensor) -> Tensor:
        """Of the two paths with a pair each; the third takes the first pair again."""
        pairs = [(view[0], paths[0]), (view[1], paths[1]), (view[0], other)]
        each = [normalize(embed(target, lesson._target_projector, x, path), dim=1) for x, path in pairs]
        return torch.stack(each).mean(0)

    @torch.no_grad()
    def distance(x: Tensor, path: Path, wanted: Tensor) -> float:
        predicted = lesson._predictor(embed(supernet, lesson._projector, x, path))
        return float(2 - 2 * cosine_similarity(predicted, wanted).mean())

    first, second = target_of(views.first), target_of(views.second)
    wanted = [
        distance(views.first[j], path, second) + distance(views.second[j], path, first) for j, path in enumerate(paths)
    ]
    assert losses(lesson, views, paths) == pytest.approx(wanted, rel=1e-5)
    assert all(0 < loss < 8 for loss in wanted)


def test_all_cells_of_a_block_speak_for_the_target(new_lesson: NewLesson, block: BlockSpace, views: Views) -> None:
    lesson, seen = new_lesson(), list[int]()
    random_path = lesson._random_path

    def watched(cell: int) -> Path:
        seen.append(cell)
        return random_path(cell)

    lesson._random_path = watched  # type: ignore[method-assign]
    losses(lesson, views, of_cell(block, 1)[:2])
    assert seen == [2]  # but for the teacher's own block, which learns nothing


def test_the_target_follows_by_the_schedule_of_the_paper(new_lesson: NewLesson) -> None:
    """m = 1 - (1 - m0)(cos(pi k / K) + 1) / 2: from m0 to 1, where the target stays as it is."""
    lesson, num_steps = new_lesson(momentum=0.9), 4
    with torch.no_grad():
        for parameter in (*lesson._target.parameters(), *lesson._target_projector.parameters()):
            parameter.zero_()
        for parameter in (*lesson._supernet.parameters(), *lesson._projector.parameters()):
            parameter.fill_(1.0)
    wanted = 0.0
    for k in range(1, num_steps + 1):
        lesson.after_step(k / num_steps)
        momentum = 1 - (1 - 0.9) * (math.cos(math.pi * k / num_steps) + 1) / 2
        wanted = momentum * wanted + (1 - momentum)
        for parameter in (*lesson._target.parameters(), *lesson._target_projector.parameters()):
            assert float(parameter.mean()) == pytest.approx(wanted, rel=1e-5)
    assert momentum == 1.0


def test_the_terms_against_collapse_are_low_where_dimensions_vary_and_do_not_repeat(new_lesson: NewLesson) -> None:
    lesson = new_lesson(variance_weight=1.0, covariance_weight=1.0)
    torch.manual_seed(0)
    apart, alike = torch.randn(512, 8), torch.randn(1, 8).expand(512, 8) + 0.01 * torch.randn(512, 8)
    repeated = apart[:, [0, 1, 2, 3, 0, 1, 2, 3]]
    assert float(lesson._against_collapse(apart)) < 0.01
    assert float(lesson._against_collapse(alike)) > 0.4
    assert float(lesson._against_collapse(repeated)) > 0.1


def test_spread_and_agreement_are_1_and_0_for_directions_of_all_kinds_and_0_and_1_for_one_alone() -> None:
    torch.manual_seed(0)
    apart, alike = torch.randn(2000, 16), torch.ones(2000, 16)
    assert spread(apart) == pytest.approx(1, abs=0.02)
    assert agreement(apart) == pytest.approx(0, abs=0.01)
    assert (spread(alike), agreement(alike)) == pytest.approx((0, 1))


@pytest.mark.parametrize("cause", ["spread", "agreement"])
def test_collapse_names_block_epoch_numbers_and_remedies(
    new_lesson: NewLesson, block: BlockSpace, views: Views, cause: str
) -> None:
    lesson = new_lesson()
    losses(lesson, views, of_cell(block, 1)[:2])
    if cause == "spread":
        lesson._spreads = [0.01, 0.03]
        wanted = r"block 1 must .* in epoch 7 their spread is 0\.02 \(at least 0\.05\).*Raise distill\.siamese\."
    else:
        lesson._agreements = [0.995, 0.997]
        wanted = r"block 1 must .* mean cosine of different images 0\.9960 \(at most 0\.99\).*lower distill\.lr"
    points: list[str] = []
    with pytest.raises(CollapseError, match=wanted):
        lesson.end_epoch(7, lambda name, *_: points.append(name))
    assert points == ["embedding_spread", "image_agreement"]  # logged before the end, to be seen
    losses(lesson, views, of_cell(block, 1)[:2])
    lesson.end_epoch(8, forget)  # each epoch is measured for itself


@pytest.mark.parametrize("key", ["keep_teacher", "allow_skip"])
def test_a_cell_that_cannot_learn_is_told_with_the_key_that_makes_it(
    teacher: CutTeacher, config: RunConfig, key: str
) -> None:
    changes = {"keep_teacher": False, "allow_skip": False} | {key: True}
    blocks = build(teacher.specs, config.search_space.model_copy(update=changes)).blocks
    with pytest.raises(ConfigError, match=rf"each cell of block \d must have weights.*search_space\..*{key[-4:]}"):
        for block in blocks:
            require_learnable(block)
    changes = {"keep_teacher": False, "allow_skip": False}
    for block in build(teacher.specs, config.search_space.model_copy(update=changes)).blocks:
        require_learnable(block)
