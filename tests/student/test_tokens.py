"""Operations on tokens, and blocks whose maps have channels last."""

import pytest
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.cost import count_paths
from helixnas.search_space import LayerSpec, build
from helixnas.search_space.candidate import bottleneck, transformer
from helixnas.student import BlockSupernet, build_operation
from tests.costs import COUNTED


@pytest.mark.parametrize(("attention", "num_heads"), [(1.0, 3), (0.5, 2), (0.01, 1)])
def test_attention_is_as_wide_as_asked(attention: float, num_heads: int) -> None:
    layer = build_operation(LayerSpec(96, 96, 1, (), is_map=False), transformer(attention, 2))
    assert layer.num_heads == num_heads
    assert layer.project.in_features == max(1, round(96 * attention))
    assert layer.mlp[0].out_features == 192
    assert layer(torch.rand(2, 7, 96)).shape == (2, 7, 96)


def test_a_token_is_moved_by_the_others_and_not_by_their_order() -> None:
    torch.manual_seed(0)
    layer = build_operation(LayerSpec(32, 32, 1, (), is_map=False), transformer(1.0, 2))
    x = torch.rand(1, 5, 32)
    assert torch.equal(layer(x), x)  # until it has learnt, it changes nothing
    with torch.no_grad():
        layer.project.weight.normal_()
    shuffled = x[:, [0, 3, 1, 4, 2]]
    torch.testing.assert_close(layer(x)[:, 0], layer(shuffled)[:, 0])
    other = x.clone()
    other[:, 4, :16] += 1  # not all channels alike, which LayerNorm would undo
    assert not torch.allclose(layer(x)[:, 0], layer(other)[:, 0])


def test_a_bottleneck_is_narrow_inside() -> None:
    module = build_operation(LayerSpec(16, 32, 2, ()), bottleneck(5, 0.25))
    widths = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [(16, 8, 1), (8, 8, 5), (8, 32, 1)]
    assert module(torch.rand(2, 16, 8, 8)).shape == (2, 32, 4, 4)


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "layout"),
    [((9, 16), (9, 16), "NLC"), ((8, 8, 16), (4, 4, 24), "NHWC"), ((8, 8, 16), (8, 8, 16), "NHWC")],
)
def test_every_path_takes_and_gives_what_the_teachers_block_does(
    config: RunConfig, in_shape: tuple[int, ...], out_shape: tuple[int, ...], layout: str
) -> None:
    spec = BlockSpec(0, in_shape, out_shape, layout, ("a",))  # type: ignore[arg-type]
    settings = config.search_space.model_copy(update={"keep_teacher": False})
    (block,) = build([spec], settings).blocks
    supernet = BlockSupernet(block, nn.Identity())
    x = torch.rand(2, *in_shape)
    assert {tuple(supernet(x, path).shape) for path in block.paths()} == {(2, *out_shape)}
    costs = count_paths(block, [spec.in_width], nn.Identity(), COUNTED).check(block).costs
    for path, cost in zip(block.paths(), costs, strict=True):
        parameters = nn.Sequential(*supernet.operations(path)).parameters()
        assert cost["num_params"] == sum(parameter.numel() for parameter in parameters)
