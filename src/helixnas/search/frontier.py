"""Which points no other beats. Points are rows of objectives, all of them low-is-good."""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Rows = NDArray[np.int64]

_CHUNK = 512
"""Points that are compared with the survivors at once, where a sweep in one dimension is not enough."""


def frontier(points: Points) -> Rows:
    """The rows [m] of ``points`` [n, d] that no other row equals or beats in every column, sorted by the first column.

    Of equal points the first row stays. Two columns take a sort and a running minimum, O(n log n).
    """
    order = np.lexsort((np.arange(len(points)), *points.T[::-1]))
    ordered = points[order]
    kept = _staircase(ordered) if points.shape[1] <= 2 else _sweep(ordered)
    return order[kept]


def _staircase(ordered: Points) -> NDArray[np.bool_]:
    """Which rows of two columns or one, in lexicographic order, fall below all rows before them in the last column."""
    last = ordered[:, -1]
    lowest = np.minimum.accumulate(last)
    return np.concatenate([[True], last[1:] < lowest[:-1]])[: len(ordered)]


def _sweep(ordered: Points) -> NDArray[np.bool_]:
    """The same for more columns: in lexicographic order a row can only be beaten by one before it."""
    kept = np.zeros(len(ordered), dtype=bool)
    survivors = ordered[:0, 1:]
    for start in range(0, len(ordered), _CHUNK):
        block = ordered[start : start + _CHUNK, 1:]
        fresh = np.flatnonzero(~_beaten(block, survivors))
        inner = _beaten_by_earlier(block[fresh])
        fresh = fresh[~inner]
        kept[start + fresh] = True
        survivors = np.concatenate([survivors, block[fresh]])
        if survivors.shape[1] == 2:  # beaten survivors beat nobody that their beater does not
            survivors = survivors[frontier(survivors)]
    return kept


def _beaten(points: Points, survivors: Points) -> NDArray[np.bool_]:
    if survivors.shape[1] == 2 and len(survivors):  # survivors are a staircase: look the step up
        step = np.searchsorted(survivors[:, 0], points[:, 0], side="right") - 1
        return (step >= 0) & (survivors[np.maximum(step, 0), 1] <= points[:, 1])
    return np.asarray((survivors[None] <= points[:, None]).all(axis=2).any(axis=1))


def _beaten_by_earlier(points: Points) -> NDArray[np.bool_]:
    beats = (points[None] <= points[:, None]).all(axis=2)
    return np.asarray(np.tril(beats, k=-1).any(axis=1))
