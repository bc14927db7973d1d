"""Find the points that no other point beats. Points are rows of objectives, all of them low-is-good, in float64."""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Rows = NDArray[np.int64]

_CHUNK = 512
"""Number of points that are compared with the survivors at once, with more than two columns."""


def frontier(points: Points) -> Rows:
    """Return the rows [m] of ``points`` [n, d] that no other row equals or beats in every column, ascending.

    Of equal points the first row stays. Two columns take a sort and a running minimum, O(n log n); three are swept
    along a staircase in the last two; more are compared with the survivors so far.
    """
    rows = _promising(points) if points.shape[1] == 2 else np.arange(len(points))
    order = rows[np.lexsort(points[rows].T[::-1])]  # stable: of equal points the first row comes first
    ordered = points[order]
    kept = _staircase(ordered) if points.shape[1] == 2 else _sweep(ordered)
    return np.sort(order[kept])


def layers(points: Points, num_layers: int) -> Rows:
    """Return the rows of the first ``num_layers`` frontiers, each of the points that earlier frontiers leave.

    Rows come in ascending order. Every point that fewer than ``num_layers`` others equal or beat is among them.
    """
    left = np.arange(len(points))
    peeled = [left[:0]]
    for _ in range(num_layers):
        if not len(left):
            break
        front = frontier(points[left])
        peeled.append(left[front])
        left = np.delete(left, front)
    return np.sort(np.concatenate(peeled))


def _promising(points: Points) -> Rows:
    """The rows on the frontier of two columns, and a few more: a quick sort that ignores ties saves stable ones."""
    order = np.argsort(points[:, 0])
    last = points[order, 1]
    return np.sort(order[last <= np.minimum.accumulate(last)])


def _staircase(ordered: Points) -> NDArray[np.bool_]:
    """Which rows of two columns, in lexicographic order, fall below all rows before them in the last column."""
    last = ordered[:, 1]
    lowest = np.minimum.accumulate(last)
    kept = np.ones(len(ordered), dtype=bool)
    kept[1:] = last[1:] < lowest[:-1]
    return kept


def _sweep(ordered: Points) -> NDArray[np.bool_]:
    """Like ``_staircase``, for more columns: in lexicographic order a row can only be beaten by an earlier row."""
    kept = np.zeros(len(ordered), dtype=bool)
    survivors = ordered[:0, 1:]
    num_thinned = _CHUNK
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK, 1:]
        fresh = np.flatnonzero(~_beaten(chunk, survivors))
        fresh = fresh[~_beaten_by_earlier(chunk[fresh])]
        kept[start + fresh] = True
        survivors = np.concatenate([survivors, chunk[fresh]])
        if survivors.shape[1] == 2 or len(survivors) > 2 * num_thinned:
            survivors = _strongest_first(survivors[frontier(survivors)])  # these beat all that the others beat
            num_thinned = max(_CHUNK, len(survivors))
    return kept


def _strongest_first(survivors: Points) -> Points:
    """Sort by the first column where that makes a staircase of two; else by about the volume that each point beats."""
    key = survivors[:, 0] if survivors.shape[1] == 2 else np.argsort(np.argsort(survivors, axis=0), axis=0).sum(axis=1)
    return survivors[np.argsort(key, kind="stable")]


def _beaten(points: Points, survivors: Points) -> NDArray[np.bool_]:
    if points.shape[1] == 2 and len(survivors):  # survivors are a staircase: look the step up
        step = np.searchsorted(survivors[:, 0], points[:, 0], side="right") - 1
        return np.asarray((step >= 0) & (survivors[np.maximum(step, 0), 1] <= points[:, 1]))
    beaten = np.zeros(len(points), dtype=bool)
    for start in range(0, len(survivors), _CHUNK):  # the strongest beat most points, which later chunks then skip
        standing = np.flatnonzero(~beaten)
        beaten[standing] = _compare(survivors[start : start + _CHUNK], points[standing]).any(axis=1)
    return beaten


def _beaten_by_earlier(points: Points) -> NDArray[np.bool_]:
    return np.asarray(np.tril(_compare(points, points), k=-1).any(axis=1))


def _compare(some: Points, others: Points) -> NDArray[np.bool_]:
    """Whether each of ``some`` [m, d] equals or beats each of ``others`` [n, d]: [n, m]."""
    beats = some[None, :, 0] <= others[:, None, 0]
    for column in range(1, some.shape[1]):  # a short last axis is slow to reduce
        beats &= some[None, :, column] <= others[:, None, column]
    return np.asarray(beats)
