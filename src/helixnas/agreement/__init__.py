"""How well numbers order architectures: rank agreement with what was measured, trivial predictors beside it."""

from helixnas.agreement.rank import Ranking, rank, read_columns
from helixnas.agreement.statistics import (
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

__all__ = [
    "Ranking",
    "interval",
    "partial_tau",
    "pearson",
    "rank",
    "read_columns",
    "regret",
    "resampled",
    "resampled_taus",
    "spearman",
    "tau",
    "tau_inside",
]
