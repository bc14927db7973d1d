"""Adapters and targets: principal components, layouts and sizes, and cells that keep the teacher's interface."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.search_space import BlockSpace, Cell, Path, TargetShape, mbconv
from helixnas.search_space.candidate import slimmable, transformer
from helixnas.student import BlockSupernet
from helixnas.student.adapter import Target

OPTIONS = (mbconv(3, 2, 0), mbconv(5, 2, 0))
SHAPES = {"NCHW": ((6, 8, 8), (12, 4, 4)), "NHWC": ((8, 8, 6), (4, 4, 12)), "NLC": ((9, 6), (9, 12))}
LAYOUTS = pytest.mark.parametrize("layout", SHAPES)


def spec(layout: str = "NCHW", **facts: object) -> BlockSpec:
    return BlockSpec(0, *SHAPES[layout], layout, ("a",), **facts)


def block(layout: str = "NCHW", widths: tuple[int, ...] = (4, 8), in_width: int | None = 5) -> BlockSpace:
    options, strides = ((transformer(1, 2),) * 2, (1, 1)) if layout == "NLC" else (OPTIONS, (2, 1))
    cells = (
        Cell((8, width), strides, (options, options), is_map=layout != "NLC", in_width=in_width) for width in widths
    )
    return BlockSpace(spec(layout), tuple(cells))


def new(block: BlockSpace) -> BlockSupernet:
    torch.manual_seed(0)
    return BlockSupernet(block, nn.Identity()).eval()


def features(layout: str, seed: int = 0) -> Tensor:
    """Outputs of a teacher: correlated channels with means."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(12, 12, generator=torch.Generator().manual_seed(9))
    rows = torch.randn(40, 4, 4, 12, generator=generator) @ mixing + torch.arange(12)
    return {"NHWC": rows, "NCHW": rows.permute(0, 3, 1, 2), "NLC": rows.flatten(1, 2)}[layout]


@LAYOUTS
def test_a_target_is_the_teachers_output_on_its_principal_components(layout: str) -> None:
    target = Target(TargetShape(3, SHAPES[layout][1][:-1] if layout != "NCHW" else (4, 4)), spec(layout))
    y = features(layout)
    target.fit(y.split(7))
    rows = y.movedim(1 + spec(layout).channel_axis, -1).flatten(0, -2).double().numpy()
    rows = rows - rows.mean(0)
    _, scales, components = np.linalg.svd(rows, full_matrices=False)
    signs = np.sign((target.basis.numpy() * components[:3]).sum(1))
    assert np.allclose(target.basis.numpy() * signs[:, None], components[:3], atol=1e-4)
    assert np.allclose(target.variance.numpy(), scales[:3] ** 2 / len(rows), rtol=1e-5)
    got = target(y).movedim(1 + spec(layout).channel_axis, -1).flatten(0, -2).numpy()
    assert np.allclose(got * signs, rows @ components[:3].T, atol=1e-3)
    assert np.allclose(got.var(0), target.variance.numpy(), rtol=1e-4)


@LAYOUTS
def test_a_restored_target_is_the_teachers_output_but_for_what_is_cut_off(layout: str) -> None:
    y, spec_ = features(layout), spec(layout)
    whole, some = (Target(TargetShape(width, spec_.out_size), spec_) for width in (12, 3))
    for target in (whole, some):
        target.fit([y])
    assert torch.allclose(whole.restore(whole(y)), y, atol=1e-3)
    restored = some.restore(some(y))
    axis = 1 + spec_.channel_axis
    assert torch.allclose(restored.movedim(axis, -1).flatten(0, -2).mean(0), some.mean, atol=1e-3)
    assert torch.allclose(some(restored), some(y), atol=1e-3)
    lost = (y - restored).movedim(axis, -1).flatten(0, -2).double().square().mean(0).sum()
    assert float(lost) == pytest.approx(float(whole.variance[3:].sum()), rel=1e-3)


def test_a_restored_target_of_smaller_maps_has_the_teachers_size() -> None:
    target, y = Target(TargetShape(12, (2, 2)), spec()), features("NCHW")
    target.fit([y])
    pooled = nn.functional.adaptive_avg_pool2d(y, (2, 2))
    restored = target.restore(target(y))
    assert restored.shape == y.shape
    assert torch.allclose(restored[:, :, ::2, ::2], pooled, atol=1e-3)
    assert torch.equal(restored[:, :, 0, 0], restored[:, :, 1, 1])


def test_a_target_repeats_whatever_the_batches_and_the_sign_of_a_component() -> None:
    first, second = (Target(TargetShape(5, (4, 4)), spec()) for _ in range(2))
    first.fit([features("NCHW")])
    second.fit(features("NCHW").split(3))
    assert torch.allclose(first.basis, second.basis, atol=1e-5)
    largest = first.basis.gather(1, first.basis.abs().argmax(1, keepdim=True))
    assert bool((largest > 0).all())


def test_a_dead_channel_and_more_components_than_there_are_do_no_harm() -> None:
    y = features("NCHW")
    y[:, 3:] = 0
    target = Target(TargetShape(6, (4, 4)), spec())
    target.fit([y])
    assert bool((target.variance >= 0).all())
    assert target.variance[3:].sum() < 1e-9
    assert bool(target(y).isfinite().all())


def test_a_target_of_smaller_maps_is_averaged_over_them() -> None:
    target = Target(TargetShape(12, (2, 2)), spec())
    y = features("NCHW")
    target.fit([y])
    pooled = torch.nn.functional.avg_pool2d(y, 2)
    assert target(y).shape == (40, 12, 2, 2)
    assert torch.allclose(target(y).square().sum(1), (pooled - pooled.mean((0, 2, 3))[:, None, None]).square().sum(1))


@LAYOUTS
def test_every_path_is_compared_on_the_components_that_the_narrowest_reaches(layout: str) -> None:
    net = new(block(layout))
    wanted = net.aim(torch.randn(2, *SHAPES[layout][1])).shape
    assert wanted[1 + net.block.spec.channel_axis] == 4
    for path in net.block.paths():
        assert net(torch.randn(2, *SHAPES[layout][0]), path).shape == wanted


def test_a_cell_enters_by_the_width_that_it_is_rated_with() -> None:
    net = new(block())
    assert net.enter(0, torch.randn(2, 6, 8, 8)).shape == (2, 5, 8, 8)
    entry = net.adapters.entry(0)
    assert entry is not None
    assert torch.allclose(entry.weight @ entry.weight.T, torch.eye(5), atol=1e-6)  # no channel twice


def test_a_cell_of_other_maps_enters_and_leaves_by_their_size() -> None:
    cells = tuple(
        Cell((8, 8), (2, 1), (OPTIONS, OPTIONS), in_width=6, in_size=(side, side)) for side in (4, 16)
    )  # ends of 2x2 and 8x8, where the teacher's is of 4x4
    net = new(BlockSpace(spec(), cells))
    for cell, side in enumerate((4, 16)):
        assert net.enter(cell, torch.randn(2, 6, 8, 8)).shape == (2, 6, side, side)
        assert net(torch.randn(2, 6, 8, 8), Path(0, cell, (0, 0))).shape == (2, 8, 2, 2)
    assert net.aim(torch.randn(2, 12, 4, 4)).shape == (2, 8, 2, 2)


def test_each_width_of_a_slimmable_end_leaves_by_an_adapter_of_its_own() -> None:
    ends = (slimmable(4), slimmable(8))
    net = new(BlockSpace(spec(), (Cell((8,), (2,), (ends,)),)))
    x = torch.randn(2, 6, 8, 8)
    assert [net(x, Path(0, 0, (choice,))).shape for choice in (0, 1)] == [(2, 4, 4, 4)] * 2
    exits = [net.adapters.exit(0, width) for width in (4, 8)]
    assert [tuple(adapter.weight.shape) for adapter in exits if adapter] == [(4, 4), (4, 8)]


def test_a_block_with_the_teachers_interface_has_no_adapter_and_aims_at_the_output_itself() -> None:
    net = new(block(widths=(12, 12), in_width=None))
    assert not list(net.adapters.parameters())
    assert net.target is None
    y = torch.randn(2, 12, 4, 4)
    assert net.aim(y) is y
    assert net.enter(0, y) is y
    assert net.leave(0, y) is y


def test_outputs_start_with_the_targets_mean_and_deviation() -> None:
    net = new(block(widths=(4, 6))).train()  # no shortcut behind the last BatchNorm
    target = net.target
    assert target is not None
    target.fit([features("NCHW") * 50])
    net.match_outputs(torch.zeros(12), torch.ones(12))
    for path in net.block.paths():
        outputs = net(torch.randn(256, 6, 8, 8), path)
        assert outputs.mean((0, 2, 3)).abs().max() < 1e-3 * float(target.variance.max().sqrt())
        deviation = outputs.double().var((0, 2, 3)).sqrt() / target.variance.sqrt()
        assert bool(((deviation > 0.7) & (deviation < 1.4)).all())


def test_the_end_of_a_teachers_block_does_not_bind_cells_of_other_widths() -> None:
    nonnegative = BlockSpace(spec(is_nonnegative=True), block().cells)
    operations = new(nonnegative).train().operations(Path(0, 0, (0, 0)))
    assert bool((nn.Sequential(*operations)(torch.randn(8, 5, 8, 8)) < 0).any())


@pytest.mark.parametrize(("shares_layers", "num_adapters"), [(False, 6), (True, 3)])
def test_cells_share_adapters_where_they_share_layers(shares_layers: bool, num_adapters: int) -> None:
    cells = block(widths=(4, 8, 4)).cells
    net = new(BlockSpace(spec(), cells, shares_layers=shares_layers))
    assert len(list(net.adapters.parameters())) == num_adapters
    assert (net.adapters.exit(0, 4) is net.adapters.exit(2, 4)) == shares_layers
