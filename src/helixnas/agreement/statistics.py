"""Rank agreement between a prediction and the truth, and its interval by resampling.

Every statistic takes arrays [n] where high is good on both sides, and is NaN where all values are alike.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float]
NUM_RESAMPLES = 1000
FEW = 2000
"""The number of architectures up to which all pairs are compared at once."""
QUANTILES = (0.025, 0.975)


def tau(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Return Kendall's tau-b."""
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if len(truth) <= FEW:  # many times as fast as SciPy, whose time goes into what surrounds the count
        return tau_inside(prediction, truth, np.zeros(len(truth), dtype=np.int64))
    from scipy.stats import kendalltau

    return float(kendalltau(prediction, truth).statistic)


def spearman(prediction: Floats, truth: Floats) -> float:
    """Return Spearman's rank correlation."""
    from scipy.stats import rankdata

    return pearson(rankdata(prediction), rankdata(truth))


def pearson(prediction: Floats, truth: Floats) -> float:
    """Return Pearson's correlation."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(prediction, truth)[0, 1])


def tau_inside(prediction: Floats, truth: Floats, band: NDArray[np.int64]) -> float:
    """Return tau-b over the pairs alone that lie in one band: the order among architectures that cost about the same.

    Args:
        prediction: [n].
        truth: [n].
        band: The number of the band of each, [n].
    """
    sums = np.zeros(3)
    for number in np.unique(band):
        inside = band == number
        first, second = _directions(prediction[inside]), _directions(truth[inside])
        sums += np.vdot(first, second), np.vdot(first, first), np.vdot(second, second)
    same_order, prediction_pairs, truth_pairs = sums
    return float(same_order / (prediction_pairs * truth_pairs) ** 0.5) if prediction_pairs and truth_pairs else np.nan


def _directions(values: Floats) -> NDArray[np.int64]:
    """1 where the first of two values is greater, -1 where it is less, 0 where both are alike: [n, n]."""
    greater = values[:, None] > values
    return greater.astype(np.int64) - greater.T


def partial_tau(prediction: Floats, truth: Floats, cost: Floats) -> float:
    """Return Kendall's partial tau: the agreement that is left when what both share with the cost is taken out.

    Source: Kendall, Rank Correlation Methods, chapter 8. Even a prediction that knows the cost alone keeps a little,
    where neither follows the cost exactly.
    """
    with_truth, with_cost, truth_with_cost = tau(prediction, truth), tau(prediction, cost), tau(truth, cost)
    left = (1 - with_cost**2) * (1 - truth_with_cost**2)
    return (with_truth - with_cost * truth_with_cost) / left**0.5 if left > 0 else np.nan


def regret(prediction: Floats, truth: Floats, cost: Floats, budget: float) -> float:
    """Return how much worse the predicted best within a budget is than the true best, in units of the truth.

    Raises:
        ValueError: Nothing is within the budget.
    """
    affordable = cost <= budget
    chosen = truth[affordable][np.argmax(prediction[affordable])]
    return float(truth[affordable].max() - chosen)


def resampled(statistic: Statistic, predictions: Mapping[str, ArrayLike], truth: ArrayLike) -> dict[str, Floats]:
    """Return a statistic of each prediction in 1,000 resamples of the architectures, the same ones for all.

    The difference of two of them is a paired comparison.
    """
    true, generator = np.asarray(truth), np.random.default_rng(0)
    rows = [generator.integers(len(true), size=len(true)) for _ in range(NUM_RESAMPLES)]
    columns = {name: np.asarray(column) for name, column in predictions.items()}
    return {name: np.array([statistic(column[row], true[row]) for row in rows]) for name, column in columns.items()}


def resampled_taus(prediction: ArrayLike, truth: ArrayLike) -> Floats:
    """Return tau-b in 1,000 resamples of the architectures, NaN where a resample is all alike.

    Resamples are the same for every pair of lists of the same length, so differences are paired. With an architecture's
    count in a resample as its weight, tau-b is a ratio of quadratic forms in the directions of all pairs, so that
    all resamples take one product.
    """
    first, second = np.asarray(prediction), np.asarray(truth)
    if len(second) > FEW:
        return resampled(tau, {"": first}, second)[""]
    num = len(second)
    weights = np.random.default_rng(0).multinomial(num, np.full(num, 1 / num), NUM_RESAMPLES).astype(np.float64)
    directions = [_directions(values).astype(np.float64) for values in (first, second)]

    def total(values: Floats) -> Floats:
        return np.asarray(((weights @ values) * weights).sum(axis=1))

    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = total(np.abs(directions[0])) * total(np.abs(directions[1]))
        return total(directions[0] * directions[1]) / np.sqrt(pairs)


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % interval of resampled values; NaN where a resample has no value at all."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, QUANTILES) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
