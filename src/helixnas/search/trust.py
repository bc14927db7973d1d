"""Hold the tables, and trivial predictors, against the students that were measured: Kendall's tau-b with intervals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from helixnas.agreement import interval, resampled_taus, tau
from helixnas.cost_kinds import counted
from helixnas.results import MIN_STUDENTS, TABLES, Agreement, Choice, Order
from helixnas.search.price import Pricer
from helixnas.search_space import Architecture, SearchSpace

MIN_TRUTHS = 24
"""The least number of students on which the weights of blocks are fitted, as DONNA does (arXiv 2012.08859)."""

Floats = NDArray[np.float64]


def order_of(students: Sequence[Choice], epochs: int, price: Pricer) -> Order:
    """Hold predicted_loss and trivial predictors against the measured losses of students.

    Trivial predictors say that the larger student is the better one: in each counted cost, such as madds, and in the
    sum of the logarithms of all layers' widths. All are low-is-good here, as the losses are.

    Args:
        students: Measured, distinct.
        epochs: For how many epochs they were trained; 0 stands for as they are assembled.
        price: Knows the ratings of every block.
    """
    truth = np.array([student.val_loss for student in students], dtype=np.float64)
    columns = {TABLES: np.array([student.predicted_loss for student in students])}
    for name in counted(students[0].cost) if students else ():
        columns[f"more {name}"] = -np.array([float(student.cost[name]) for student in students])
    columns["wider layers"] = -np.array([log_widths(price.space, student.architecture) for student in students])
    calibrated = None
    if len(students) >= MIN_TRUTHS and np.isfinite(truth).all():
        ratings = np.array([_block_ratings(student, price) for student in students])
        (calibrated,) = _agreements({"calibrated": _left_out(ratings, truth)}, truth)
    return Order(epochs, len(students), _agreements(columns, truth), calibrated)


def log_widths(space: SearchSpace, architecture: Architecture) -> float:
    """Sum the logarithms of the output widths of all layers of an architecture."""
    total, width = 0.0, space.blocks[0].spec.in_width
    for block, path in zip(space.blocks, architecture.paths, strict=True):
        for layer in block.cells[path.cell].along(width, path.choices):
            total += math.log(layer.out_width)
        width = block.out_width(path)
    return total


def _block_ratings(student: Choice, price: Pricer) -> list[float]:
    return [price.losses[path.block_id][path.key] for path in student.architecture.paths]


def _left_out(ratings: Floats, truth: Floats) -> Floats:
    """Predict each student from ratings [n, blocks] by one non-negative weight a block, fitted to all other students.

    The constant of a fit is left out of the prediction: it is the others' mean, which is low where the left-out truth
    is high, so that it would turn every order around.
    """
    from scipy.optimize import nnls

    predictions = np.empty(len(truth))
    for row in range(len(truth)):
        others = np.arange(len(truth)) != row
        centred = ratings[others] - ratings[others].mean(axis=0)
        weights, _ = nnls(centred, truth[others] - truth[others].mean())
        predictions[row] = weights @ ratings[row]
    return predictions


def _agreements(columns: Mapping[str, Floats], truth: Floats) -> tuple[Agreement, ...]:
    """The agreement of each predictor with the truth [n]; leads are those of the first predictor over the others."""
    if len(truth) < 2:
        return tuple(Agreement(name, None, None, None) for name in columns)
    resampled = {name: resampled_taus(column, truth) for name, column in columns.items()}
    first = next(iter(resampled.values()))
    told = []
    for name, column in columns.items():
        found = tau(column, truth)
        is_told = not math.isnan(found) and len(truth) >= MIN_STUDENTS
        intervals = [_told(resampled[name]), _told(first - resampled[name])] if is_told else [None, None]
        told.append(Agreement(name, None if math.isnan(found) else found, *intervals))
    return tuple(told)


def _told(values: Floats) -> tuple[float, float] | None:
    return interval(values) if np.isfinite(values).any() else None
