"""How far the tables can be trusted: do they order students as these measure, and better than a trivial predictor?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from helixnas import telling

TABLES = "tables"
"""The name of the predictor that adds up the ratings: predicted_loss."""
MIN_STUDENTS = 5
"""Of fewer students nothing is said: of four, even the very same order comes by chance in one case of twelve."""

MIN_TRAINED = 24
"""Trained students are nearer to the truth, but few: of fewer than so many, those measured as assembled say more."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank agreement of a predictor with measured losses.

    Attributes:
        predictor: Its name.
        tau: Kendall's tau-b, +1 for the same order; None where the predictor or the losses do not differ.
        interval: Of tau, 95 %, by a bootstrap over students; None where tau is None or students are too few.
        lead: By how much the tables' tau is above this one, 95 %, by the same bootstrap; None as ``interval``.
    """

    predictor: str
    tau: float | None
    interval: tuple[float, float] | None
    lead: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Order:
    """Predictors held against the students that were measured after so many epochs of training.

    Attributes:
        epochs: Of training; 0 stands for students as they are assembled.
        num_students: How many were measured.
        agreements: Of the tables, then of trivial predictors.
        calibrated: Of the tables with one non-negative weight for each block, fitted without the student that is
            predicted; None where students are too few for that.
    """

    epochs: int
    num_students: int
    agreements: tuple[Agreement, ...]
    calibrated: Agreement | None

    @property
    def tables(self) -> Agreement:
        """The agreement of the tables."""
        return self.agreements[0]

    @property
    def best_trivial(self) -> Agreement | None:
        """The trivial predictor with the highest tau; None where none has any."""
        trivial = [each for each in self.agreements[1:] if each.tau is not None]
        return max(trivial, key=lambda each: each.tau or 0.0, default=None)

    @property
    def is_shown(self) -> bool:
        """Whether the interval of the tables' tau lies above 0."""
        return self.tables.interval is not None and self.tables.interval[0] > 0

    @property
    def is_beaten(self) -> bool:
        """Whether a trivial predictor has a higher tau than the tables."""
        trivial, tau = self.best_trivial, self.tables.tau
        return trivial is not None and (tau is None or (trivial.tau or 0.0) > tau)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the tables' order; ``orders`` has one entry for each way to measure, as assembled first."""

    orders: tuple[Order, ...]

    @property
    def decisive(self) -> Order | None:
        """The order that counts: of trained students where these are 24 or more; None where all are too few."""
        enough = [each for each in self.orders if each.num_students >= MIN_STUDENTS]
        sure = [each for each in enough if not each.epochs or each.num_students >= MIN_TRAINED]
        return next(reversed(sure or enough), None)

    @property
    def is_earned(self) -> bool:
        """Whether the tables are shown to order students, and no trivial predictor does better."""
        order = self.decisive
        return order is not None and order.is_shown and not order.is_beaten

    def __str__(self) -> str:
        order = self.decisive
        if order is None:
            return telling.unknown_order(max((each.num_students for each in self.orders), default=0))
        best = order.best_trivial
        trivial = None if best is None or best.tau is None else (best.predictor, best.tau)
        return telling.order_of_students(
            order.epochs,
            order.num_students,
            order.tables.tau,
            order.tables.interval,
            trivial,
            is_earned=self.is_earned,
        )


def trust_to_json(trust: Trust) -> dict[str, Any]:
    """Write what is known of the tables' order as plain JSON types."""
    return asdict(trust)


def trust_from_json(value: Mapping[str, Any]) -> Trust:
    """Read the value that ``trust_to_json`` wrote."""
    orders = []
    for order in value["orders"]:
        agreements = tuple(map(_agreement, order["agreements"]))
        calibrated = order["calibrated"] and _agreement(order["calibrated"])
        orders.append(Order(**{**order, "agreements": agreements, "calibrated": calibrated}))
    return Trust(tuple(orders))


def _agreement(value: Mapping[str, Any]) -> Agreement:
    pairs = {name: value[name] and tuple(value[name]) for name in ("interval", "lead")}
    return Agreement(**{**value, **pairs})
