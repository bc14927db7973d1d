"""Operations: the shapes and the parts that a candidate's name promises."""

import pytest
import torch
from torch import nn

from helixnas.errors import ConfigError
from helixnas.search_space import TEACHER, Candidate, LayerSpec, mbconv
from helixnas.student import build_operation
from helixnas.student.operations.mb import SqueezeExcite


def layer(in_width: int = 8, out_width: int = 8, stride: int = 1) -> LayerSpec:
    return LayerSpec(in_width, out_width, stride, ())


def convolutions(operation: nn.Module) -> list[nn.Conv2d]:
    return [module for module in operation.modules() if isinstance(module, nn.Conv2d)]


def gates(operation: nn.Module) -> list[nn.Linear]:
    return [module for module in operation.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 5, 8])
def test_a_map_shrinks_by_the_stride_rounded_up_whatever_the_kernel(kernel: int, stride: int, side: int) -> None:
    operation = build_operation(layer(6, 10, stride), mbconv(kernel, 3, 0.25)).eval()
    assert operation(torch.zeros(2, 6, side, side)).shape == (2, 10, -(-side // stride), -(-side // stride))


@pytest.mark.parametrize("candidate", [mbconv(3, 0.01, 0.01), Candidate("bottle", (("k", 3), ("r", 0.01)))])
def test_a_layer_has_one_channel_inside_at_least(candidate: Candidate) -> None:
    assert build_operation(layer(), candidate)(torch.zeros(2, 8, 4, 4)).shape == (2, 8, 4, 4)


def test_the_name_sets_kernel_expansion_and_squeeze() -> None:
    operation = build_operation(layer(8, 16), mbconv(5, 6, 0.25))
    expand, depthwise, project = convolutions(operation)
    squeeze, excite = gates(operation)
    assert (expand.in_channels, expand.out_channels, expand.kernel_size) == (8, 48, (1, 1))
    assert (depthwise.groups, depthwise.kernel_size, depthwise.out_channels) == (48, (5, 5), 48)
    assert (squeeze.in_features, squeeze.out_features, excite.out_features) == (48, 2, 48)  # 2: a quarter of the input
    assert (project.in_channels, project.out_channels, project.kernel_size) == (48, 16, (1, 1))


@pytest.mark.parametrize(
    ("candidate", "num_convolutions", "num_gates"),
    [(mbconv(3, 6, 0.25), 3, 2), (mbconv(3, 6, 0), 3, 0), (mbconv(3, 1, 0.25), 2, 2), (mbconv(3, 1, 0), 2, 0)],
)
def test_expansion_1_and_squeeze_0_leave_their_parts_out(
    candidate: Candidate, num_convolutions: int, num_gates: int
) -> None:
    operation = build_operation(layer(), candidate)
    assert (len(convolutions(operation)), len(gates(operation))) == (num_convolutions, num_gates)


def test_a_squeeze_of_few_channels_keeps_one() -> None:
    assert gates(build_operation(layer(2, 2), mbconv(3, 1, 0.1)))[0].out_features == 1


@pytest.mark.parametrize(
    ("spec", "has_shortcut"), [(layer(), True), (layer(8, 16), False), (layer(stride=2), False), (layer(16), False)]
)
def test_the_shortcut_is_there_where_stride_and_widths_allow(spec: LayerSpec, has_shortcut: bool) -> None:
    operation = build_operation(spec, mbconv(3, 2, 0.25)).eval()
    *_, last = (module for module in operation.modules() if isinstance(module, nn.BatchNorm2d))
    nn.init.zeros_(last.weight)  # what is left is the shortcut
    x = torch.randn(2, spec.in_width, 4, 4)
    assert torch.equal(operation(x), x if has_shortcut else torch.zeros_like(operation(x)))


def test_squeeze_and_excite_scales_a_channel_by_one_number_that_the_means_alone_decide() -> None:
    torch.manual_seed(0)
    excite = SqueezeExcite(4, 2)
    x = torch.rand(2, 4, 3, 3) + 0.5
    scale = excite(x) / x
    assert torch.allclose(scale, scale[:, :, :1, :1].expand_as(scale))
    assert bool(((scale > 0) & (scale < 1)).all())
    assert torch.allclose(excite(x.flip(2)), excite(x).flip(2))  # the same means
    assert not torch.allclose(excite(x * 2), excite(x) * 2)


@pytest.mark.parametrize("expansion", [1, 6])
def test_an_operation_leaves_its_input_as_it_is(expansion: float) -> None:
    x = torch.randn(2, 8, 4, 4)
    before = x.clone()
    build_operation(layer(), mbconv(3, expansion, 0.25))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("candidate", [Candidate("conv"), TEACHER])
def test_a_kind_that_no_operation_has_is_refused(candidate: Candidate) -> None:
    with pytest.raises(ConfigError, match=rf"must be one of \[.*'mb'.*\], but is '{candidate.kind}'"):
        build_operation(layer(), candidate)
