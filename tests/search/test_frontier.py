"""Non-dominated filtering against its definition, in two, three and four columns, with many ties."""

import numpy as np
import pytest

from helixnas.search.frontier import frontier, layers


def beaters(points: np.ndarray) -> np.ndarray:
    """How many other rows equal or beat each row; of equal rows only those before it count."""
    no_worse = (points[None] <= points[:, None]).all(axis=2)
    better = (points[None] < points[:, None]).any(axis=2)
    return (no_worse & (better | np.tril(np.ones_like(better), k=-1))).sum(axis=1)


@pytest.mark.parametrize("num_columns", [2, 3, 4])
@pytest.mark.parametrize("num_values", [3, 30, 10**6])
def test_the_frontier_is_every_row_that_no_other_equals_or_beats(num_columns: int, num_values: int) -> None:
    rng = np.random.default_rng([num_columns, num_values])
    for num_rows in (1, 2, 7, 60, 700):
        points = rng.integers(0, num_values, (num_rows, num_columns)).astype(float)
        np.testing.assert_array_equal(frontier(points), np.flatnonzero(beaters(points) == 0))


@pytest.mark.parametrize("num_columns", [3, 4])
def test_a_frontier_wider_than_a_chunk_is_kept_whole(num_columns: int) -> None:
    directions = np.abs(np.random.default_rng(0).normal(size=(2600, num_columns)))
    sphere = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)  # nobody beats anybody
    inside = sphere[::2] + 0.01
    points = np.concatenate([inside, sphere])
    np.testing.assert_array_equal(frontier(points), np.arange(len(inside), len(points)))


@pytest.mark.parametrize("num_columns", [2, 3, 4])
def test_k_layers_hold_every_row_that_fewer_than_k_others_beat(num_columns: int) -> None:
    points = np.random.default_rng(num_columns).integers(0, 9, (300, num_columns)).astype(float)
    for num_layers in (1, 3, 400):
        kept = layers(points, num_layers)
        assert set(np.flatnonzero(beaters(points) < num_layers)) <= set(kept)
        assert len(kept) == len(set(kept)) <= len(points)
