"""The range test finds the rate that fits: by trying, from the same start, to the same bits."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helixnas.config import load
from helixnas.config.recipes import Recipe
from helixnas.data import ImageSet
from helixnas.fit import Batch, Checkpoint, Fit
from helixnas.progress import forget, silent
from helixnas.retrain.lr_range import RATES, RangeTest, range_test
from tests.conftest import ROOT, SmallNet

CPU = torch.device("cpu")


def recipe_at(**changes: object) -> Callable[[float], Recipe]:
    base = load(ROOT).teacher.recipe.model_dump() | {"epochs": 3, "label_smoothing": 0.0} | changes
    return lambda lr: Recipe(**(base | {"lr": lr}))


def label_loss(network: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(network(batch.inputs), batch.labels)


@pytest.fixture
def tested(parts: dict[str, ImageSet]) -> Callable[..., RangeTest]:
    def run(network: nn.Module, loss: object = label_loss, **changes: object) -> RangeTest:
        return range_test(network, parts["train"], parts["rating"], recipe_at(**changes), loss, 7, CPU, silent)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def trained(parts: dict[str, ImageSet], tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """A network that its training has brought to its best."""
    torch.manual_seed(0)
    network = SmallNet()
    fit = Fit(network, parts["train"], recipe_at(epochs=12)(0.01), "teacher.recipe", 0, CPU)
    fit.run(Checkpoint(tmp_path_factory.mktemp("fit") / "c"), lambda _: 0.0, forget, silent)
    return network


def test_a_new_network_takes_a_higher_rate_than_a_trained_one(
    tested: Callable[..., RangeTest], small_net: SmallNet, trained: nn.Module
) -> None:
    new, old = tested(small_net), tested(trained)
    assert old.lr < 0.003 <= new.lr
    for test in (new, old):
        losses = dict(test.losses)
        assert losses[test.lr] == min(loss for loss in losses.values() if loss is not None) <= test.start_loss
    assert (new.num_steps, new.num_images) == (16, 270)


def test_the_student_is_left_as_it_is_and_the_test_repeats_to_the_bit(
    tested: Callable[..., RangeTest], small_net: SmallNet
) -> None:
    before = copy.deepcopy(small_net.state_dict())
    first = tested(small_net)
    assert all(torch.equal(tensor, before[name]) for name, tensor in small_net.state_dict().items())
    torch.manual_seed(99)
    assert tested(small_net) == first


def test_rates_that_get_worse_twice_end_the_test(tested: Callable[..., RangeTest], trained: nn.Module) -> None:
    test = tested(trained, optimizer="sgd")
    assert [lr for lr, _ in test.losses] == list(RATES[: len(test.losses)])
    rising = tested(trained).losses
    assert len(rising) < len(RATES)
    lowest = min(loss for _, loss in rising[:-2])
    assert all(loss > lowest for _, loss in rising[-2:])


def test_where_nothing_improves_on_the_start_the_smallest_rate_is_taken(
    tested: Callable[..., RangeTest], small_net: SmallNet
) -> None:
    with torch.no_grad():
        for parameter in small_net.parameters():
            parameter.zero_()  # the least loss that the objective below knows

    def shrink(network: nn.Module, batch: Batch) -> Tensor:
        size = sum(parameter.square().sum() for parameter in network.parameters())
        return size - 0.1 * network.head.bias.sum() if network.training else size

    test = tested(small_net, shrink)
    assert (test.lr, test.start_loss) == (RATES[0], 0.0)
    assert all(loss > 0 for _, loss in test.losses)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_rate_whose_loss_is_no_number_is_out(
    tested: Callable[..., RangeTest], small_net: SmallNet, value: float
) -> None:
    def breaks(network: nn.Module, batch: Batch) -> Tensor:
        loss = label_loss(network, batch)
        moved = float((network.head.weight - small_net.head.weight).detach().abs().max())
        return loss if network.training or moved < 0.005 else loss * value

    test = tested(small_net, breaks)
    broken = [lr for lr, loss in test.losses if loss is None]
    assert len(broken) == 2  # and no other was tried
    assert test.lr < min(broken)
    assert "no number" in str(test)


def test_a_result_survives_json_and_says_its_numbers(tested: Callable[..., RangeTest], small_net: SmallNet) -> None:
    test = tested(small_net)
    assert RangeTest.from_json(json.loads(json.dumps(asdict(test)))) == test
    said = str(test)
    assert said.startswith(f"retrain.recipe.lr: auto takes {test.lr:g}. Loss on 270 rating images at the start ")
    assert "\n" not in said


def test_few_images_are_enough(parts: dict[str, ImageSet], small_net: SmallNet, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    few = parts["train"].first(20), parts["rating"].first(5)
    test = range_test(small_net, *few, recipe_at(), label_loss, 0, CPU, lambda *step: told.append(step))
    assert (test.num_steps, test.num_images) == (1, 5)
    assert told == [(number, len(RATES)) for number in range(1, len(test.losses) + 1)]
