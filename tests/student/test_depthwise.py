"""Depthwise convolutions that train fast: the gradients of torch's own, whatever the sizes."""

import pytest
import torch
from torch import Tensor, nn

from helixnas.search_space import LayerSpec, mbconv
from helixnas.student import build_operation, depthwise
from helixnas.student.depthwise import DepthwiseConv2d, quicken, weight_gradient

CHANNELS = 6


def conv(kernel: int = 5, stride: int = 1, **others: object) -> nn.Conv2d:
    torch.manual_seed(0)
    settings = {"padding": kernel // 2, "groups": CHANNELS, **others}
    return nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, **settings)  # type: ignore[arg-type]


def quick(plain: nn.Conv2d) -> nn.Conv2d:
    network = nn.Sequential(plain)
    quicken(network)
    assert isinstance(plain, DepthwiseConv2d)
    return plain


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    torch.manual_seed(1)
    made = torch.autograd.grad(y, [x, *module.parameters()], torch.randn(y.shape))
    return [y.detach(), *made]


@pytest.mark.parametrize("at_once", [1, 2**18])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (4, 9), (8, 5)])
def test_the_weights_gradient_is_that_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, at_once: int, kernel: int, stride: int, height: int, width: int
) -> None:
    monkeypatch.setattr(depthwise, "CACHED_VALUES", at_once)
    plain = conv(kernel, stride, bias=False).double()
    x = torch.randn(3, CHANNELS, height, width, dtype=torch.float64)
    y = plain(x)
    gradient = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, [plain.weight], gradient)
    torch.testing.assert_close(weight_gradient(x, gradient, kernel, stride, kernel // 2), expected)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_trains_as_the_plain_one_does(*, has_bias: bool, memory_format: torch.memory_format) -> None:
    x = torch.randn(4, CHANNELS, 9, 9).to(memory_format=memory_format)
    plain, ours = (
        gradients(module.to(memory_format=memory_format), x)  # type: ignore[call-overload]
        for module in (conv(bias=has_bias), quick(conv(bias=has_bias)))
    )
    assert torch.equal(plain[0], ours[0]), "the forward pass is the same convolution"
    for expected, made in zip(plain, ours, strict=True):
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "plain",
    [
        conv(3),
        conv(groups=1),
        conv(groups=2),
        conv(dilation=2),
        conv(padding_mode="reflect"),
        conv(padding="same"),
        nn.Conv2d(6, 12, 5, groups=6),
        nn.Conv2d(6, 6, (5, 7), groups=6),
    ],
)
def test_what_is_fast_already_or_something_else_is_left_alone(plain: nn.Conv2d) -> None:
    quicken(nn.Sequential(plain))
    assert type(plain) is nn.Conv2d


def test_candidates_with_large_kernels_are_quick() -> None:
    layer = LayerSpec(4, 4, 2, ())
    kinds = [[type(m) for m in build_operation(layer, mbconv(k, 3, 0)).modules()] for k in (3, 5, 7)]
    assert [DepthwiseConv2d in each for each in kinds] == [False, True, True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_numbers_train_by_torchs_own_way(dtype: torch.dtype) -> None:
    module = quick(conv()).to(dtype)
    assert module(torch.randn(1, CHANNELS, 5, 5, dtype=dtype)).grad_fn.name() == "ConvolutionBackward0"


def test_a_quick_convolution_is_exported_as_a_plain_one() -> None:
    module = quick(conv()).eval()
    x = torch.randn(1, CHANNELS, 5, 5)
    program = torch.export.export(module, (x,))
    assert torch.equal(program.module()(x), module(x))
