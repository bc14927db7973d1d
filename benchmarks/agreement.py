"""What the benchmarks of rank agreement share: a finished run to look at, Kendall's tau-b with its interval."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

NUM_RESAMPLES = 2000
QUANTILES = (0.025, 0.975)


def finished_run(root: Path) -> Path:
    """The folder itself, if a run has ended in it; else the process ends with what to do."""
    if not (root / "artifacts" / "rating").is_dir() or not (root / "artifacts" / "search").is_dir():
        sys.exit(f"error: {root.resolve()} must hold a finished run, but holds none. Run `make run` there first.")
    return root


def tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b between two lists of numbers."""
    return float(kendalltau(first, second).statistic)


def bootstrapped(predictors: Mapping[str, Sequence[float]], truth: Sequence[float]) -> dict[str, np.ndarray]:
    """Tau of each predictor with the truth in each of 2,000 resamples of the rows, the same rows for all of them."""
    generator = np.random.default_rng(0)
    columns = {name: np.asarray(values) for name, values in predictors.items()}
    target = np.asarray(truth)
    taus: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(NUM_RESAMPLES):
        rows = generator.integers(len(target), size=len(target))
        for name, column in columns.items():
            taus[name].append(tau(column[rows], target[rows]))
    return {name: np.array(values) for name, values in taus.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of resampled values."""
    low, high = np.quantile(values, QUANTILES)
    return float(low), float(high)
