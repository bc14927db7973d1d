"""Kendall's tau-b of tables and trivial predictors, its bootstrap, and the weights fitted without the student."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from helixnas.agreement import resampled_taus
from helixnas.results import TABLES, Choice, Order, Trust, trust_from_json, trust_to_json
from helixnas.search import order_of
from helixnas.search.trust import MIN_TRUTHS, log_widths

from .conftest import Instance, make_instance


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=4, num_blocks=3, num_paths=5, widths=(8, 16), is_coarse=False)


def students(instance: Instance, num_students: int, seed: int = 0) -> list[Choice]:
    """Random ones, measured just as the tables predict."""
    rows = np.random.default_rng(seed).permutation(len(instance.everything))[:num_students]
    some = [instance.everything[row] for row in rows]
    return [replace(choice, val_loss=choice.predicted_loss) for choice in some]


def taus(order: Order) -> dict[str, float | None]:
    return {each.predictor: each.tau for each in order.agreements}


def test_each_predictor_is_held_against_the_losses(instance: Instance) -> None:
    some = students(instance, 30)
    noise = np.random.default_rng(1).normal(0, 0.5, 30)
    some = [replace(each, val_loss=each.predicted_loss + more) for each, more in zip(some, noise, strict=True)]
    losses = [each.val_loss for each in some]
    order = order_of(some, 0, instance.price)
    assert list(taus(order)) == [TABLES, "more madds", "more num_params", "more peak_memory_bytes", "wider layers"]
    assert taus(order)[TABLES] == pytest.approx(kendalltau([each.predicted_loss for each in some], losses).statistic)
    madds = kendalltau([each.cost["madds"] for each in some], losses).statistic
    assert taus(order)["more madds"] == pytest.approx(-madds)  # the larger one is taken for the better one
    widths = [log_widths(instance.space, each.architecture) for each in some]
    assert taus(order)["wider layers"] == pytest.approx(-kendalltau(widths, losses).statistic)
    assert order.num_students == 30


def test_log_widths_are_summed_over_layers(instance: Instance) -> None:
    for choice in instance.everything[:40]:
        widths = [
            block.out_width(path) for block, path in zip(instance.space.blocks, choice.architecture.paths, strict=True)
        ]
        assert log_widths(instance.space, choice.architecture) == pytest.approx(sum(map(math.log, widths)))


def test_tables_that_foretell_the_losses_earn_trust(instance: Instance) -> None:
    trust = Trust((order_of(students(instance, 30), 0, instance.price),))
    assert trust.is_earned
    assert str(trust).startswith("The tables order students: held against 30 students measured as assembled, Kendall's")
    assert "+1.00 (95 %: +1.00 to +1.00, n = 30)" in str(trust)
    assert "search.fallback" not in str(trust)


def test_tables_without_order_earn_none(instance: Instance) -> None:
    noise = np.random.default_rng(0).normal(size=40)
    some = [replace(each, val_loss=loss) for each, loss in zip(students(instance, 40), noise, strict=True)]
    trust = Trust((order_of(some, 0, instance.price),))
    low, high = trust.orders[0].tables.interval or (0, 0)
    assert low < 0 < high
    assert not trust.is_earned
    assert str(trust).startswith("It is not shown that the tables order students")
    assert "Raise search.measured" in str(trust)


def test_tables_below_a_trivial_predictor_earn_none(instance: Instance) -> None:
    some = [replace(each, val_loss=-each.cost["madds"] + each.predicted_loss * 5) for each in students(instance, 60)]
    trust = Trust((order_of(some, 3, instance.price),))
    assert trust.orders[0].best_trivial is not None
    assert trust.orders[0].best_trivial.predictor == "more madds"
    assert trust.orders[0].is_beaten
    assert not trust.is_earned
    assert "a trivial predictor" in str(trust)
    assert "60 students (the best of those measured) trained for 3 epochs" in str(trust)


def test_the_lead_over_a_predictor_is_that_of_the_same_resamples(instance: Instance) -> None:
    some = students(instance, 25)
    order = order_of(some, 0, instance.price)
    losses = np.array([each.val_loss for each in some])
    other = resampled_taus(-np.array([each.cost["madds"] for each in some]), losses)
    wanted = np.quantile(resampled_taus(losses, losses) - other, (0.025, 0.975))
    assert order.agreements[1].lead == pytest.approx(tuple(wanted))


def test_weights_of_blocks_are_fitted_on_enough_students_and_find_a_block_that_says_nothing(instance: Instance) -> None:
    few, some = students(instance, MIN_TRUTHS - 1), students(instance, 40)
    assert order_of(few, 0, instance.price).calibrated is None
    losses = instance.price.losses
    last = [replace(each, val_loss=1 + 0.1 * losses[2][each.architecture.paths[2].key]) for each in some]
    order = order_of(last, 0, instance.price)
    assert order.calibrated is not None
    assert (order.calibrated.tau or 0) > 0.9  # not 1: students that only differ in the other blocks have equal losses
    assert (order.tables.tau or 0) < 0.8
    noise = np.random.default_rng(0).normal(size=40)
    nothing = [replace(each, val_loss=loss) for each, loss in zip(some, noise, strict=True)]
    calibrated = order_of(nothing, 0, instance.price).calibrated
    assert calibrated is not None
    assert abs(calibrated.tau or 0.0) < 0.5  # the others' mean alone would turn the order around: -1


@pytest.mark.parametrize("num_students", [0, 1, 4])
def test_of_too_few_nothing_is_said(instance: Instance, num_students: int) -> None:
    trust = Trust((order_of(students(instance, num_students), 0, instance.price),))
    assert trust.decisive is None
    assert not trust.is_earned
    assert "is not known" in str(trust)
    assert trust_from_json(trust_to_json(trust)) == trust


def test_students_that_were_trained_decide_where_they_are_enough(instance: Instance) -> None:
    measured, trained = (
        order_of(students(instance, 30), 0, instance.price),
        order_of(students(instance, 24), 1, instance.price),
    )
    assert Trust((measured, trained)).decisive == trained
    few, none = order_of(students(instance, 23), 1, instance.price), order_of([], 0, instance.price)
    assert Trust((measured, few)).decisive == measured
    assert Trust((none, few)).decisive == few
    trust = Trust((measured, trained))
    assert trust_from_json(trust_to_json(trust)) == trust
