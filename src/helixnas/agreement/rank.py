"""Hold predictions of architectures against truths, with the trivial predictors that any rating has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helixnas.agreement.statistics import (
    Floats,
    interval,
    partial_tau,
    pearson,
    regret,
    resampled,
    resampled_taus,
    spearman,
    tau,
    tau_inside,
)
from helixnas.errors import ConfigError

MIN_ARCHITECTURES = 4
NUM_BANDS = 5
BUDGETS = (0.25, 0.5, 0.75, 1.0)
LOW_IS_GOOD = ("loss", "rating", "error", "kl")


@dataclass(frozen=True, slots=True)
class Ranking:
    """The agreement of one predictor with the truth; high is good on both sides.

    Attributes:
        predictor: Its name.
        tau: Kendall's tau-b.
        tau_interval: Of 95 %, from 1,000 resamples.
        spearman: Rank correlation.
        spearman_interval: As above.
        pearson: Linear correlation.
        pearson_interval: As above.
        lead: tau of the first predictor minus this one's.
        lead_interval: Of 95 %, from the same resamples for both.
        tau_in_bands: tau-b over pairs in one of five bands of equal numbers by cost; None without a cost.
        partial_tau: tau given the cost; None without a cost.
        regrets: By share of the costs that a budget admits: how much worse the predicted best is than the true best,
            in units of the truth; None without a cost.
    """

    predictor: str
    tau: float
    tau_interval: tuple[float, float]
    spearman: float
    spearman_interval: tuple[float, float]
    pearson: float
    pearson_interval: tuple[float, float]
    lead: float
    lead_interval: tuple[float, float]
    tau_in_bands: float | None
    partial_tau: float | None
    regrets: dict[str, float] | None


def read_columns(predictions: Path, truths: Path, key: str) -> pd.DataFrame:
    """Read two CSV files and join them by the column ``key``; a column that both have is taken from the first.

    Raises:
        ConfigError: A file cannot be read, lacks the key, holds a key twice, or the two share fewer than four keys.
    """
    tables = []
    for path in (predictions, truths):
        try:
            table = pd.read_csv(path, comment="#")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} must be a CSV file with one row an architecture, but: {error}.") from error
        if key not in table:
            raise ConfigError(
                f"{path} must have a column {key!r}, but has {', '.join(map(str, table))}. Name another by --by."
            )
        if table[key].duplicated().any():
            twice = table[key][table[key].duplicated()].iloc[0]
            raise ConfigError(f"{path} must have one row for each {key}, but has two for {twice!r}. Remove one.")
        tables.append(table)
    first, second = tables
    joined = first.merge(second[[key, *(name for name in second if name not in first)]], on=key)
    if len(joined) < MIN_ARCHITECTURES:
        raise ConfigError(
            f"{predictions} and {truths} must share at least {MIN_ARCHITECTURES} values of {key}, "
            f"but share {len(joined)}."
        )
    return joined


def rank(
    table: pd.DataFrame, predictors: Sequence[str], truth: str, cost: str | None, widths: Sequence[str] = ()
) -> list[Ranking]:
    """Hold predictors against the truth, and random numbers, costs and widths beside them.

    Columns whose name says loss, rating, error or kl are low-is-good, all others high-is-good: that more of a cost is
    better is the trivial prediction.

    Args:
        table: One row an architecture.
        predictors: Columns; the first is the one that the others are compared with.
        truth: A column.
        cost: A column for bands, partial tau and regret, or None.
        widths: Columns of numbers of channels, whose sum of logarithms is a predictor.

    Raises:
        ConfigError: A column is missing or does not hold numbers.
    """
    columns = {name: _column(table, name) for name in predictors}
    for name in ("madds", "num_params", *([cost] if cost else [])):
        if name in table and name != truth:
            columns.setdefault(name, _column(table, name))
    if widths:
        columns["sum of log widths"] = np.sum([np.log(_column(table, name)) for name in widths], axis=0)
    columns["random"] = np.random.default_rng(0).random(len(table))
    true = _column(table, truth)
    paid = None if cost is None else _column(table, cost)
    taus = {name: resampled_taus(column, true) for name, column in columns.items()}
    spearmans, pearsons = (resampled(statistic, columns, true) for statistic in (spearman, pearson))
    first = next(iter(columns))
    return [
        Ranking(
            predictor=name,
            tau=tau(column, true),
            tau_interval=interval(taus[name]),
            spearman=spearman(column, true),
            spearman_interval=interval(spearmans[name]),
            pearson=pearson(column, true),
            pearson_interval=interval(pearsons[name]),
            lead=tau(columns[first], true) - tau(column, true),
            lead_interval=interval(taus[first] - taus[name]),
            tau_in_bands=None if paid is None else tau_inside(column, true, _bands(paid)),
            partial_tau=None if paid is None or name == cost else partial_tau(column, true, paid),
            regrets=None if paid is None else _regrets(column, true, paid),
        )
        for name, column in columns.items()
    ]


def _column(table: pd.DataFrame, name: str) -> Floats:
    """A column [n] where high is good."""
    if name not in table:
        raise ConfigError(f"The tables must have a column {name!r}, but have {', '.join(map(str, table))}.")
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(values).any():
        row = int(np.isnan(values).argmax())
        raise ConfigError(f"Column {name!r} must hold numbers, but row {row + 1} has {table[name].iloc[row]!r}.")
    return -values if any(word in name.lower() for word in LOW_IS_GOOD) else values


def _bands(cost: Floats) -> np.ndarray:
    edges = np.quantile(cost, np.arange(1, NUM_BANDS) / NUM_BANDS)
    return np.searchsorted(edges, cost, side="left")


def _regrets(prediction: Floats, truth: Floats, cost: Floats) -> dict[str, float]:
    return {f"{share:.0%}": regret(prediction, truth, cost, np.quantile(cost, share)) for share in BUDGETS}
