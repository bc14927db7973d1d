"""Rank agreement on the terminal: one line a predictor."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from helixnas.agreement import Ranking


def print_rankings(rankings: Sequence[Ranking], num_architectures: int, truth: str, console: Console) -> None:
    """Print the agreement of each predictor with the truth; the first is the one that the others are compared with."""
    console.print(f"{num_architectures} architectures; 95 % intervals in brackets; the truth is {truth}", style="dim")
    agreements = _table("Kendall tau-b", "Spearman", "Pearson", "lead of the first in tau-b")
    for ranking in rankings:
        agreements.add_row(
            Text(ranking.predictor),
            _number(ranking.tau, ranking.tau_interval),
            _number(ranking.spearman, ranking.spearman_interval),
            _number(ranking.pearson, ranking.pearson_interval),
            "" if ranking is rankings[0] else _number(ranking.lead, ranking.lead_interval),
        )
    console.print(agreements)
    if budgets := rankings[0].regrets:
        by_cost = _table("tau-b in bands", "tau given cost", *(f"regret at {share}" for share in budgets))
        for ranking in rankings:
            regrets = [f"{value:.4g}" for value in (ranking.regrets or {}).values()]
            by_cost.add_row(
                Text(ranking.predictor), _number(ranking.tau_in_bands), _number(ranking.partial_tau), *regrets
            )
        console.print()
        console.print(by_cost)


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", overflow="fold")
    for title in titles:
        table.add_column(title, justify="right")
    return table


def _number(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None or math.isnan(value):
        return "-"
    low_high = "" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"
    return f"{value:.4f}{low_high}"
