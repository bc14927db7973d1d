"""Operations of the user's own: made as any other, or refused with their name before anything is trained."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from helixnas.cost import count
from helixnas.errors import ConfigError
from helixnas.search_space import Candidate, LayerSpec
from helixnas.student import build_operation, register_custom
from helixnas.student.custom import CUSTOM
from tests.costs import COUNTED

LAYER = LayerSpec(8, 16, 2, ())
TOKENS = LayerSpec(8, 8, 1, (), is_map=False)

MODULE = """
import torch
from torch import nn
from helixnas.student import operation

@operation
def strided(layer):
    conv = nn.Conv2d(layer.in_width, layer.out_width, 3, layer.stride, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(layer.out_width))

@operation
def mixer(layer):
    return nn.Linear(layer.in_width, layer.out_width)

@operation
def flat(layer):
    return nn.Conv2d(layer.in_width, layer.out_width, 3, padding=1)

@operation
def deaf(layer):
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(layer.in_width, layer.out_width, 1, layer.stride)
        def forward(self, x):
            return self.conv(x.detach())
    return Deaf()

@operation
def number(layer):
    return 7

@operation
def wrong_input(layer):
    return nn.Conv2d(layer.in_width + 1, layer.out_width, 1)

@operation
def raises(layer):
    raise KeyError("width")

@operation
def exits(layer):
    raise SystemExit(0)

@operation
def unready(layer):
    return nn.Module()

@operation
def keyed(layer):
    class Keyed(nn.Module):
        def forward(self, x):
            return {}["x"]
    return Keyed()

@operation
def listed(layer):
    class Listed(nn.Module):
        def forward(self, x):
            return [x]
    return Listed()

def plain(layer):
    return nn.Identity()
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Candidate]]:
    """Registers one of the operations above, and gives its candidate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "mine.py").write_text(MODULE)
    before = dict(CUSTOM)

    def register(name: str) -> Candidate:
        register_custom([f"mine:{name}"], [])
        return Candidate(name.replace("_", "-"))

    yield register
    CUSTOM.clear()
    CUSTOM.update(before)


def test_an_own_operation_is_built_for_the_layer(mine: Callable[[str], Candidate]) -> None:
    module = build_operation(LAYER, mine("strided"))
    assert module(torch.rand(3, 8, 9, 9)).shape == (3, 16, 5, 5)


def test_it_may_be_built_where_no_gradient_is_kept(mine: Callable[[str], Candidate]) -> None:
    candidate = mine("strided")
    with torch.no_grad():
        assert build_operation(LAYER, candidate) is not None


def test_its_cost_is_counted_as_any_other(mine: Callable[[str], Candidate]) -> None:
    cost = count(build_operation(LAYER, mine("strided")), (8, 8, 8), COUNTED)
    assert (cost["madds"], cost["num_params"]) == (16 * 8 * 9 * 4 * 4, 16 * 8 * 9 + 16 + 32)


def test_the_check_leaves_no_trace(mine: Callable[[str], Candidate]) -> None:
    candidate = mine("strided")
    torch.manual_seed(0)
    module = build_operation(LAYER, candidate)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    sys.modules["mine"].strided(LAYER)
    assert torch.equal(drawn, torch.rand(1))
    assert module[1].running_mean.abs().max() == 0
    assert all(parameter.grad is None for parameter in module.parameters())


def test_an_operation_on_tokens_is_checked_on_tokens(mine: Callable[[str], Candidate]) -> None:
    assert build_operation(TOKENS, mine("mixer"))(torch.rand(2, 5, 8)).shape == (2, 5, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flat", r"mine:flat must give \(2, 16, 8, 8\) for .* at a layer of 8 to 16 channels, stride 2, but gives"),
        ("deaf", r"mine:deaf must pass a finite gradient"),
        ("number", r"mine:number must return a torch\.nn\.Module, but returns int"),
        (
            "raises",
            r"mine:raises must take a LayerSpec and return, but: KeyError: 'width'\. .*\.operations names",
        ),
        ("exits", r"mine:exits must take a LayerSpec and return, but: SystemExit: 0\. In params"),
        ("unready", r"mine:unready must take \(2, 8, 16, 16\) .*, but: NotImplementedError: Module \[Module\] is"),
        ("keyed", r"mine:keyed must take \(2, 8, 16, 16\) at a layer of .*, but: KeyError: 'x'\. In params\.yaml"),
        ("listed", r"mine:listed must give \(2, 16, 8, 8\) for .*, but gives list"),
        ("wrong_input", r"mine:wrong_input must take \(2, 8, 16, 16\) .*, but: "),
    ],
)
def test_an_operation_that_cannot_work_is_refused_by_name(
    mine: Callable[[str], Candidate], name: str, message: str
) -> None:
    candidate = mine(name)
    with pytest.raises(ConfigError, match=message):
        build_operation(LAYER, candidate)


def test_a_function_without_the_decorator_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mine:plain must be decorated with @helixnas\.student\.operation"):
        register_custom(["mine:plain"], [])
