"""Counting: multiply-adds and weights of real modules, worked out by hand or printed in papers."""

import pytest
import timm
import torch
from torch import Tensor, nn

from helixnas.cost import count
from helixnas.search_space import LayerSpec, mbconv
from helixnas.student import build_operation
from tests.costs import COUNTED, KINDS, three


@pytest.mark.parametrize(
    ("network", "in_shape", "madds", "num_params"),
    [
        (nn.Linear(10, 7), (10,), 70, 77),
        (nn.Linear(10, 7, bias=False), (5, 10), 350, 70),  # at each of five tokens
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 6, 6), 36 * 8 * 27, 216),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 6, 6), 9 * 8 * 27, 224),
        (nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), (8, 4, 4), 16 * 8 * 25, 200),
        (nn.Conv2d(8, 4, 1, groups=2, bias=False), (8, 4, 4), 16 * 4 * 4, 16),
        (nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Sigmoid()), (4, 4, 4), 0, 8),
        (nn.Identity(), (4,), 0, 0),
    ],
)
def test_a_known_module_costs_what_can_be_worked_out(
    network: nn.Module, in_shape: tuple[int, ...], madds: int, num_params: int
) -> None:
    assert count(network, in_shape, COUNTED) == three(madds, num_params)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return y


@pytest.mark.parametrize(
    ("network", "in_shape", "madds"),
    [
        (Attention(), (2, 9, 4), 2 * 2 * 9 * 9 * 4),  # products, heads, tokens, tokens, width
        (SelfAttention(), (9, 8), 9 * 8 * 24 + 9 * 8 * 8 + 2 * 9 * 9 * 8),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (9, 8), 9 * 8 * 32 + 2 * 9 * 9 * 8 + 2 * 9 * 8 * 16),
    ],
)
def test_attention_counts_its_two_products_though_fused(
    network: nn.Module, in_shape: tuple[int, ...], madds: int
) -> None:
    assert count(network, in_shape, COUNTED)["madds"] == madds
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_an_mbconv_costs_the_sum_of_its_parts() -> None:
    cost = count(build_operation(LayerSpec(8, 12, 2, ()), mbconv(3, 4, 0.25)), (8, 6, 6), COUNTED)
    hidden, squeezed = 32, 2
    expand, depthwise, project = 36 * 8 * hidden, 9 * hidden * 9, 9 * hidden * 12
    assert cost["madds"] == expand + depthwise + 2 * hidden * squeezed + project
    assert cost["num_params"] == (8 * hidden + 9 * hidden + 12 * hidden) + 2 * (hidden + hidden + 12) + (
        2 * hidden * squeezed + squeezed + hidden
    )


@pytest.mark.parametrize(
    ("name", "million_madds", "num_params"),
    [
        ("efficientnet_b0", 385.8, 5_288_548),
        ("mobilenetv2_100", 300.8, 3_504_872),
        ("resnet18", 1814.1, 11_689_512),
        ("deit_tiny_patch16_224", 1253.7, 5_717_416),
    ],
)
def test_known_networks_at_224_cost_what_is_known_of_them(name: str, million_madds: float, num_params: int) -> None:
    cost = count(timm.create_model(name), (3, 224, 224), COUNTED)
    assert round(cost["madds"] / 1e6, 1) == million_madds
    assert cost["num_params"] == num_params


def test_counting_moves_no_statistics_and_needs_no_second_image() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert count(network, (2, 4, 4), COUNTED)["madds"] == 4 * 4 * 18
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_weight_that_two_modules_share_is_counted_once() -> None:
    linear = nn.Linear(4, 4, bias=False)
    assert count(nn.Sequential(linear, nn.ReLU(), linear), (4,), COUNTED) == three(32, 16)


def test_latency_is_left_unmeasured() -> None:
    assert "latency_ms" not in count(nn.Linear(1, 1), (1,), KINDS)
