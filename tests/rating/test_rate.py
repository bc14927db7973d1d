"""Rating down the tree is rating each path alone: the same numbers, statistics of the path, nothing left behind."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.progress import Progress, silent
from helixnas.rating import Criterion, Sources, rate
from helixnas.rating.feature import FeatureCriterion
from helixnas.rating.rate import Batches
from helixnas.results import RatingTable
from helixnas.search_space import BlockSpace, Path, SearchSpace
from helixnas.student import BlockSupernet, recalibrate
from helixnas.teacher import BlockBatch, DistillLoss, block_batch

MOMENTS = torch.zeros(16), torch.full((16,), 0.5)
LOSS = DistillLoss(MOMENTS[1])
BLOCK_ID = 1
PLENTY = 2**30
Rate = Callable[..., RatingTable]


@pytest.fixture
def block(space: SearchSpace) -> BlockSpace:
    return space.blocks[BLOCK_ID]


@pytest.fixture
def supernet(block: BlockSpace, teacher: CutTeacher) -> BlockSupernet:
    torch.manual_seed(0)
    return BlockSupernet(block, teacher.blocks[BLOCK_ID]).eval()


@pytest.fixture
def criterion(supernet: BlockSupernet, teacher: CutTeacher, config: RunConfig) -> Criterion:
    return FeatureCriterion(Sources(supernet, {}, teacher, MOMENTS, config.rating))


@pytest.fixture
def calibration(teacher: CutTeacher, parts: dict[str, ImageSet]) -> Tensor:
    return block_batch(teacher, BLOCK_ID, parts["train"].normalized()[:64]).inputs


@pytest.fixture
def batch(teacher: CutTeacher, parts: dict[str, ImageSet]) -> BlockBatch:
    return block_batch(teacher, BLOCK_ID, parts["rating"].normalized()[:40])


def split(batch: BlockBatch, *sizes: int) -> list[BlockBatch]:
    return [BlockBatch(*pair) for pair in zip(batch.inputs.split(sizes), batch.targets.split(sizes), strict=True)]


def made(batches: list[BlockBatch]) -> Batches:
    return [lambda batch=batch: batch for batch in batches]


@pytest.fixture
def rated(
    supernet: BlockSupernet, block: BlockSpace, criterion: Criterion, calibration: Tensor, batch: BlockBatch
) -> Rate:
    def rated(*sizes: int, progress: Progress = silent, memory_bytes: int = PLENTY) -> RatingTable:
        return rate(
            supernet, block, criterion, calibration, made(split(batch, *(sizes or (20, 20)))), 7, progress, memory_bytes
        )

    return rated


def alone(supernet: BlockSupernet, path: Path, calibration: Tensor, batches: list[BlockBatch]) -> float:
    """The path's rating by the long way: a network of its own, recalibrated as a whole."""
    network = nn.Sequential(*supernet.operations(path))
    recalibrate(network, [calibration])
    with torch.no_grad():
        losses = [LOSS.per_image(network(batch.inputs), batch.targets).numpy() for batch in batches]
    return float(sum(loss.sum() for loss in losses)) / sum(map(len, losses))


def test_each_node_once_gives_the_losses_of_each_path_alone(
    rated: Rate, supernet: BlockSupernet, block: BlockSpace, calibration: Tensor, batch: BlockBatch
) -> None:
    table = rated().check(block)
    assert table.paths == tuple(path.key for path in block.paths())
    paths = zip(list(block.paths())[1:], table.ratings[1:], strict=True)
    assert all(alone(supernet, path, calibration, split(batch, 20, 20)) == rated for path, rated in paths)
    assert len(set(table.ratings)) == block.num_paths  # no path is rated in the place of another


def test_the_teachers_own_block_is_rated_0(rated: Rate) -> None:
    assert rated().ratings[0] == 0.0


def test_rating_repeats_to_the_bit(rated: Rate) -> None:
    assert rated() == rated()


def test_the_cut_into_batches_does_not_matter(rated: Rate) -> None:
    whole = rated(40)
    for sizes in [(20, 20), (39, 1), (7, 33)]:
        assert rated(*sizes).ratings == pytest.approx(whole.ratings, rel=1e-5)
        assert rated(*sizes).num_images == whole.num_images == 40


def test_a_layers_statistics_are_those_of_the_path_that_led_to_it(
    rated: Rate, supernet: BlockSupernet, calibration: Tensor
) -> None:
    *_, last = (module for module in supernet.layers(2)[1][1].modules() if isinstance(module, nn.BatchNorm2d))
    rated()  # ends with the path of the last choices
    left = last.running_var.clone()
    measured = {}
    for choice in (0, 1):
        recalibrate(nn.Sequential(*supernet.operations(Path(BLOCK_ID, 2, (choice, 1)))), [calibration])
        measured[choice] = last.running_var.clone()
    assert torch.equal(left, measured[1])
    assert not torch.allclose(left, measured[0], rtol=1e-3)


def test_statistics_left_by_training_do_not_count(rated: Rate, supernet: BlockSupernet) -> None:
    wanted = rated()
    for cell in supernet.cells[1:]:
        for module in cell.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(100.0)
                module.running_var.fill_(1e4)
    assert rated() == wanted


def test_the_teachers_own_statistics_are_kept(rated: Rate, supernet: BlockSupernet) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.cells[0].state_dict().items()}
    rated()
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.cells[0].state_dict().items())


def test_the_images_to_rate_do_not_calibrate(
    supernet: BlockSupernet, block: BlockSpace, criterion: Criterion, calibration: Tensor, batch: BlockBatch
) -> None:
    one, two = split(batch, 20, 20)
    both = rate(supernet, block, criterion, calibration, made([one, two]), 0, silent, PLENTY)
    each = [
        rate(supernet, block, criterion, calibration, made([half]), 0, silent, PLENTY).ratings for half in (one, two)
    ]
    assert both.ratings == pytest.approx([sum(pair) / 2 for pair in zip(*each, strict=True)], rel=1e-9)


def test_other_calibration_images_give_other_ratings(
    supernet: BlockSupernet, block: BlockSpace, criterion: Criterion, calibration: Tensor, batch: BlockBatch
) -> None:
    losses = [
        rate(supernet, block, criterion, x, made([batch]), 0, silent, PLENTY).ratings
        for x in (calibration, calibration * 2)
    ]
    assert all(first != second for first, second in zip(losses[0][1:], losses[1][1:], strict=True))


def test_rating_changes_no_weight_and_keeps_no_graph(rated: Rate, supernet: BlockSupernet) -> None:
    before = {name: parameter.clone() for name, parameter in supernet.named_parameters()}
    rated()
    assert all(torch.equal(parameter, before[name]) for name, parameter in supernet.named_parameters())
    assert all(parameter.grad is None for parameter in supernet.parameters())
    assert not any(module.training for module in supernet.cells.modules())


def test_the_table_carries_block_images_seed_and_criterion_in_float64(rated: Rate) -> None:
    table = rated()
    assert (table.block_id, table.num_images, table.seed, table.criterion) == (BLOCK_ID, 40, 7, "feature")
    assert any(loss != float(torch.tensor(loss, dtype=torch.float32)) for loss in table.ratings)


def test_progress_counts_the_paths(rated: Rate, block: BlockSpace) -> None:
    calls: list[tuple[int, int]] = []
    rated(progress=lambda *call: calls.append(call))
    assert calls == [(done, block.num_paths) for done in range(1, block.num_paths + 1)]


def test_each_node_of_the_tree_is_run_once(rated: Rate, supernet: BlockSupernet) -> None:
    calls: list[int] = []
    for layer in (0, 1):
        for operation in supernet.layers(2)[layer]:
            operation.register_forward_hook(lambda _, x, y, layer=layer: calls.extend([layer] * (len(y) > 1)))
    rated(40)
    assert [calls.count(layer) for layer in (0, 1)] == [
        2 * 2,
        2 * 4,
    ]  # to calibrate, and to rate; one image tells sizes


def test_a_memory_bound_changes_no_bit_and_rates_some_batches_at_a_time(rated: Rate, block: BlockSpace) -> None:
    calls: list[tuple[int, int]] = []
    tight = rated(10, 10, 10, 10, progress=lambda *call: calls.append(call), memory_bytes=1)
    assert tight == rated(10, 10, 10, 10)
    assert calls[-1] == (4 * block.num_paths, 4 * block.num_paths)


def test_what_is_held_stays_below_the_bound(
    supernet: BlockSupernet, block: BlockSpace, criterion: Criterion, calibration: Tensor, batch: BlockBatch
) -> None:
    held: list[int] = []

    def spy(part: BlockBatch) -> BlockBatch:
        held.append(len(part.inputs))
        return part

    image = batch.inputs[:1].nbytes + batch.targets[:1].nbytes
    batches = [lambda part=part: spy(part) for part in split(batch, *[4] * 10)]
    bound = 4 * 3 * 6 * image  # three batches: each layer's outputs are no larger than both features
    calls: list[tuple[int, int]] = []
    rate(supernet, block, criterion, calibration, batches, 0, lambda *call: calls.append(call), bound)
    num_walks = calls[-1][1] // block.num_paths
    assert 10 / 3 / 6 <= num_walks < 10
    assert sum(held) == 40 + 4  # each batch once, and the first to see how large it is


def test_channels_last_changes_nothing_but_the_order_of_sums(
    supernet: BlockSupernet, block: BlockSpace, criterion: Criterion, calibration: Tensor, batch: BlockBatch
) -> None:
    plain = rate(supernet, block, criterion, calibration, made([batch]), 0, silent, PLENTY)
    last = {"memory_format": torch.channels_last}
    turned = BlockBatch(batch.inputs.to(**last), batch.targets.to(**last))
    other = rate(supernet.to(**last), block, criterion, calibration.to(**last), made([turned]), 0, silent, PLENTY)
    assert other.ratings == pytest.approx(plain.ratings, rel=1e-5, abs=1e-9)
