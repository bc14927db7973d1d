"""Rank agreement: BossNAS's published tables give its published figures; every statistic against a plain way to it."""

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from helixnas.agreement import (
    interval,
    partial_tau,
    rank,
    read_columns,
    regret,
    resampled,
    resampled_taus,
    tau,
    tau_inside,
)
from helixnas.errors import ConfigError
from tests.test_command_line import call, message

SHARED = Path(__file__).parents[2].parent / "shared/data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_bossnas_tables_give_the_published_figures() -> None:
    ratings = pd.read_csv(SHARED / "mbconv_bossnas_ratings.csv").set_index(["block", "path"])["loss"]
    table = pd.read_csv(SHARED / "mbconv_imagenet_23.csv")
    table["loss"] = sum(table[f"block{block}"].map(ratings[block]) for block in range(5))
    boss = rank(table, ["loss"], "top1_acc", None)[0]
    assert (round(boss.tau, 4), round(boss.spearman, 4), round(boss.pearson, 4)) == (0.6443, 0.7767, 0.8467)
    assert boss.tau_interval[0] < boss.tau < boss.tau_interval[1]


@pytest.fixture
def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    madds = generator.integers(100, 200, 40)
    truth = madds + generator.normal(0, 10, 40)
    columns = {"arch_id": [f"a{row}" for row in range(40)], "madds": madds, "top1_acc": truth}
    return pd.DataFrame({**columns, "predicted_loss": -(truth + generator.normal(0, 5, 40)), "c0": madds, "c1": 8})


def test_trivial_predictors_stand_beside_and_a_loss_is_turned_round(table: pd.DataFrame) -> None:
    found = {row.predictor: row for row in rank(table, ["predicted_loss"], "top1_acc", "madds", ["c0", "c1"])}
    assert list(found) == ["predicted_loss", "madds", "sum of log widths", "random"]
    assert found["predicted_loss"].tau > found["madds"].tau > 0.5 > found["random"].tau
    assert found["sum of log widths"].tau == pytest.approx(found["madds"].tau)
    assert found["madds"].lead == pytest.approx(found["predicted_loss"].tau - found["madds"].tau)
    assert found["madds"].partial_tau is None
    assert list(found["predicted_loss"].regrets or {}) == ["25%", "50%", "75%", "100%"]


def test_a_shuffled_truth_is_ordered_by_nothing(table: pd.DataFrame) -> None:
    table["top1_acc"] = np.random.default_rng(1).permutation(table["top1_acc"].to_numpy())
    low, high = rank(table, ["predicted_loss"], "top1_acc", "madds")[0].tau_interval
    assert low < 0 < high


def test_tau_inside_bands_counts_pairs_of_one_band_alone() -> None:
    generator = np.random.default_rng(2)
    prediction, truth = generator.integers(0, 6, 30) * 1.0, generator.integers(0, 6, 30) * 1.0  # with ties
    band = generator.integers(0, 3, 30)
    pairs = [(i, j) for i, j in combinations(range(30), 2) if band[i] == band[j]]
    first, second = (np.sign([values[i] - values[j] for i, j in pairs]) for values in (prediction, truth))
    wanted = (first * second).sum() / np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    assert tau_inside(prediction, truth, band) == pytest.approx(wanted)
    assert tau_inside(prediction, truth, np.zeros(30, dtype=np.int64)) == pytest.approx(tau(prediction, truth))


def test_partial_tau_takes_out_what_both_share_with_the_cost() -> None:
    generator = np.random.default_rng(3)
    cost, noise = generator.random(300), generator.normal(0, 0.2, (3, 300))
    truth, copy = cost + noise[0], cost + noise[1]
    assert tau(copy, truth) > 0.4
    assert partial_tau(copy, truth, cost) < tau(copy, truth) / 2
    assert partial_tau(truth + noise[2] / 4, truth, cost) > 0.7


@pytest.mark.parametrize("num", [40, 600])
def test_tau_is_scipys_with_ties_and_infinite_losses(num: int) -> None:
    generator = np.random.default_rng(4)
    prediction, truth = generator.integers(0, 9, (2, num)) * 1.0
    prediction[:3] = np.inf
    assert tau(prediction, truth) == pytest.approx(kendalltau(prediction, truth).statistic)
    assert np.isnan(tau(np.ones(num), truth))


def test_regret_is_what_a_wrong_choice_within_the_budget_costs() -> None:
    prediction, truth, cost = np.array([3.0, 2, 1]), np.array([5.0, 7, 9]), np.array([1.0, 2, 3])
    assert [regret(prediction, truth, cost, budget) for budget in (1, 2, 3)] == [0, 2, 4]


def test_resamples_are_paired_and_the_interval_leaves_out_what_has_no_value() -> None:
    truth = np.arange(20.0)
    taus = resampled(tau, {"same": truth, "also": truth * 2}, truth)
    assert np.array_equal(taus["same"], taus["also"])
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


@pytest.mark.parametrize("is_tied", [False, True])
def test_a_resample_has_the_tau_that_scipy_gives_its_rows(is_tied: bool) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=12), rng.normal(size=12)
    if is_tied:
        first, second = first.round(), second.round()
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 1000)
    got = resampled_taus(first, second)
    for index in range(40):
        rows = np.repeat(np.arange(12), counts[index])
        assert got[index] == pytest.approx(kendalltau(first[rows], second[rows]).statistic)


def test_infinite_losses_are_the_worst() -> None:
    finite = resampled_taus(np.arange(8.0), np.arange(8.0))
    assert np.array_equal(resampled_taus(np.arange(8.0), np.array([*range(7), np.inf])), finite)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arch_id,x\na,1\n", "share at least 4"),
        ("name,x\na,1\n", "must have a column 'arch_id', but has name, x"),
        ("arch_id,x\na,1\na,2\n", "has two for 'a'"),
        ("", "must be a CSV file"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_columns(path, path, "arch_id")


def test_a_column_that_is_missing_or_no_number_is_named(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="must have a column 'nothing'"):
        rank(table, ["nothing"], "top1_acc", None)
    with pytest.raises(ConfigError, match="Column 'arch_id' must hold numbers, but row 1 has 'a0'"):
        rank(table, ["arch_id"], "top1_acc", None)


def test_rank_tells_how_well_predictions_order_what_was_measured(tmp_path: Path) -> None:
    rows = "".join(f"a{row},{10 - row},{row % 3},{row / 10}\n" for row in range(9))
    (tmp_path / "trials.csv").write_text("arch_id,predicted_loss,madds,top1_acc\n" + rows)
    done = call(tmp_path, "helixnas rank trials.csv --cost madds --json")
    assert done.returncode == 0, done.stderr
    tables, madds, random = json.loads(done.stdout)
    assert (tables["predictor"], tables["tau"], tables["regrets"]["100%"]) == ("predicted_loss", 1, 0)
    assert (madds["predictor"], random["predictor"]) == ("madds", "random")
    assert re.search(r"predicted_loss +1\.0000 \(1\.00 to 1\.00\)", call(tmp_path, "helixnas rank trials.csv").stdout)
    assert "must have a column 'val_loss'" in message(tmp_path, "helixnas rank trials.csv --truth val_loss")
