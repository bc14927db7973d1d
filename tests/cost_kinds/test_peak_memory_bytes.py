"""Peaks of networks small enough to count by hand; a float32 takes four bytes."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from helixnas.cost_kinds.peak_memory_bytes import KIND


class Shortcut(nn.Module):
    """x + f(x), where x is held until the sum."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return relu(x, inplace=True)


def peak_in_floats(network: nn.Module, in_shape: tuple[int, ...]) -> float:
    with torch.no_grad():
        return KIND.count(network.eval(), in_shape) / 4


def test_a_chain_holds_the_input_and_the_output_of_its_largest_step() -> None:
    network = nn.Sequential(nn.Linear(3, 10, bias=False), nn.Linear(10, 7, bias=False), nn.Linear(7, 2, bias=False))
    assert peak_in_floats(network, (3,)) == 10 + 7


def test_a_shortcut_is_held_until_it_is_added() -> None:
    network = Shortcut(nn.Sequential(nn.Linear(4, 20, bias=False), nn.Linear(20, 4, bias=False)))
    assert peak_in_floats(network, (4,)) == 4 + 20 + 4


def test_what_is_changed_in_place_and_views_take_no_more() -> None:
    network = nn.Sequential(nn.Linear(3, 10, bias=False), InPlace(), nn.Unflatten(1, (2, 5)), nn.Flatten())
    assert peak_in_floats(network, (3,)) == 3 + 10


def test_weights_and_statistics_do_not_count() -> None:
    assert peak_in_floats(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)), (2, 5, 5)) == 2 * 3 * 25


def test_leaving_everything_out_holds_the_input() -> None:
    assert peak_in_floats(nn.Identity(), (6,)) == 6


@pytest.mark.parametrize("seed", range(5))
def test_the_peak_of_a_network_is_the_largest_peak_of_its_parts(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    widths = [int(width) for width in torch.randint(1, 40, (5,), generator=generator)]
    parts = [
        nn.Sequential(nn.Linear(first, inner := 3 * first), Shortcut(nn.Linear(inner, inner)), nn.Linear(inner, last))
        for first, last in pairwise(widths)
    ]
    peaks = [peak_in_floats(part, (width,)) for part, width in zip(parts, widths[:-1], strict=True)]
    assert peak_in_floats(nn.Sequential(*parts), (widths[0],)) == max(peaks)
