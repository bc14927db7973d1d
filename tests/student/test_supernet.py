"""A block's supernet: every path runs, the path is an argument, the teacher's block stands in as it is."""

import pytest
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.config.schema import CellShape
from helixnas.cut import CutTeacher
from helixnas.search_space import BlockSpace, Cell, Path, SearchSpace, build
from helixnas.student import BlockSupernet


def supernet(block: BlockSpace, teacher: CutTeacher) -> BlockSupernet:
    torch.manual_seed(0)
    return BlockSupernet(block, teacher.blocks[block.block_id])


def substitutes(config: RunConfig, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> BlockSpace:
    (block,) = build([BlockSpec(0, in_shape, out_shape, "NCHW", ("a",), True)], config.search_space).blocks
    return block


@pytest.mark.parametrize("block_id", [0, 1, 2])
def test_every_path_takes_and_gives_what_the_teachers_block_does(
    space: SearchSpace, teacher: CutTeacher, block_id: int
) -> None:
    block = space.blocks[block_id]
    network = supernet(block, teacher).eval()
    for path in block.paths():
        assert network(torch.rand(2, *block.spec.in_shape), path).shape == (2, *block.spec.out_shape)


@pytest.mark.parametrize(("in_side", "out_side"), [(8, 2), (7, 4), (13, 4), (5, 2), (9, 3), (9, 2)])
def test_every_path_bridges_odd_maps_too(config: RunConfig, in_side: int, out_side: int) -> None:
    block = substitutes(config, (4, in_side, in_side), (8, out_side, out_side))
    network = BlockSupernet(block, nn.Identity()).eval()
    for path in list(block.paths())[1:]:
        assert network(torch.rand(1, 4, in_side, in_side), path).shape == (1, 8, out_side, out_side)


def test_a_path_runs_the_operations_that_it_names(space: SearchSpace, teacher: CutTeacher) -> None:
    network = supernet(space.blocks[1], teacher).eval()
    x = torch.rand(2, *space.blocks[1].spec.in_shape)
    first, second = network.layers(2)
    for choices in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        path = Path(1, 2, choices)
        assert network.operations(path) == [first[choices[0]], second[choices[1]]]
        assert torch.equal(network(x, path), second[choices[1]](first[choices[0]](x)))


def test_the_last_path_run_leaves_no_mark_on_the_next(space: SearchSpace, teacher: CutTeacher) -> None:
    paths = list(space.blocks[0].paths())
    network = supernet(space.blocks[0], teacher).eval()
    x = torch.rand(2, *space.blocks[0].spec.in_shape)
    forward = [network(x, path) for path in paths]
    backward = [network(x, path) for path in reversed(paths)][::-1]
    assert all(map(torch.equal, forward, backward))


@pytest.mark.parametrize("choices", [(0,), (0, 0, 0)])
def test_a_path_of_another_depth_is_refused(space: SearchSpace, teacher: CutTeacher, choices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        supernet(space.blocks[0], teacher).operations(Path(0, 2, choices))


def test_cells_and_candidates_share_no_weight(space: SearchSpace, teacher: CutTeacher) -> None:
    network = supernet(space.blocks[0], teacher)
    operations = [
        operation for cell in range(len(network.cells)) for layer in network.layers(cell) for operation in layer
    ]
    parameters = [id(parameter) for operation in operations for parameter in operation.parameters()]
    assert len(parameters) == len(set(parameters)) == len(list(network.parameters()))


def test_the_teachers_block_is_a_copy_with_weights_and_statistics(space: SearchSpace, teacher: CutTeacher) -> None:
    x = torch.rand(4, *space.blocks[1].spec.in_shape)
    teacher.blocks[1].train()(x)  # statistics of its own
    wanted = teacher.blocks[1].eval()(x)
    network = supernet(space.blocks[1], teacher)
    with torch.no_grad():
        for parameter in teacher.blocks[1].parameters():
            parameter.zero_()
    assert torch.equal(network.eval()(x, Path(1, 0, (0,))), wanted)


@pytest.mark.parametrize("is_nonnegative", [True, False])
def test_only_the_last_layer_ends_as_the_teachers_block_does(config: RunConfig, is_nonnegative: bool) -> None:
    spec = BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("a",), is_nonnegative)
    network = BlockSupernet(build([spec], config.search_space).blocks[0], nn.Identity())
    x = torch.randn(8, 8, 4, 4)
    assert all((end(x) >= 0).all() == is_nonnegative for end in network.layers(2)[-1])
    assert all((inner(x) < 0).any() for inner in network.layers(2)[0])


def contains_identity(cell: Cell, in_width: int) -> bool:
    return all(layer.stride == 1 and layer.in_width == layer.out_width for layer in cell.layers(in_width))


@pytest.mark.parametrize("kind", ["mb", "bottle"])
def test_a_cell_that_contains_the_identity_starts_as_the_identity(config: RunConfig, kind: str) -> None:
    cells = [CellShape(depth=1, width=1), CellShape(depth=3, width=1), CellShape(depth=2, width=0.5)]
    changes = {"cells": cells, "allow_skip": True, "bottlenecks": [0.5] if kind == "bottle" else []}
    spec = BlockSpec(0, (16, 6, 6), (16, 6, 6), "NCHW", ("a",), is_nonnegative=True)
    (block,) = build([spec], config.search_space.model_copy(update=changes)).blocks
    network = BlockSupernet(block, nn.Identity())
    network.match_outputs(torch.randn(16), torch.rand(16) + 1)
    x = torch.rand(8, 16, 6, 6)
    number = 0
    for path in block.paths():
        if block.cells[path.cell].is_trainable and contains_identity(block.cells[path.cell], 16):
            assert torch.equal(network.train()(x, path), x)
            number += 1
    assert number == sum(cell.num_paths for cell in block.cells[2:4])


@pytest.mark.parametrize(("in_width", "width"), [(8, 1.0), (8, 0.5), (16, 0.5)])
def test_every_path_starts_with_the_teachers_mean_and_deviation(config: RunConfig, in_width: int, width: float) -> None:
    changes = {"cells": [CellShape(depth=1, width=1), CellShape(depth=2, width=width)], "allow_skip": False}
    spec = BlockSpec(0, (in_width, 6, 6), (16, 3, 3), "NCHW", ("a",))
    (block,) = build([spec], config.search_space.model_copy(update=changes)).blocks
    network = BlockSupernet(block, nn.Identity()).train()
    mean, std = torch.randn(16), torch.rand(16) + 0.5
    network.match_outputs(mean.double(), std.double())
    for path in list(block.paths())[1:]:
        outputs = network(torch.randn(64, *spec.in_shape), path).detach()
        torch.testing.assert_close(outputs.mean((0, 2, 3)), mean, rtol=0, atol=1e-3)
        torch.testing.assert_close(outputs.std((0, 2, 3)), std, rtol=0.02, atol=0)


def test_matching_leaves_the_teachers_own_layers_alone(space: SearchSpace, teacher: CutTeacher) -> None:
    network = supernet(space.blocks[1], teacher)
    before = {name: tensor.clone() for name, tensor in network.cells[0].state_dict().items()}
    network.match_outputs(torch.randn(16).double(), torch.rand(16).double())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.cells[0].state_dict().items())
