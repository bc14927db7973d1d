"""The cost of a network, and the budget that limits it: numbers by kind of cost."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from helixnas.cost_kinds import kind
from helixnas.errors import ConfigError
from helixnas.telling import quantity

EPSILON = 1e-9
"""Relative slack of a limit, so that rounding in a sum of measured times breaks no limit."""


class _Numbers(Mapping[str, float]):
    """Numbers by kind of cost, in a fixed order; nothing in it can be changed.

    Args:
        numbers: A number for each kind; None stands for a kind that has none.
        more: The same, as keywords.
    """

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Mapping[str, float | None] | None = None, /, **more: float | None) -> None:
        every = {**(numbers or {}), **more}
        given = {name: value for name, value in every.items() if value is not None}
        order = sorted(given, key=lambda name: (kind(name).is_measured, name))  # counted kinds before measured ones
        self._numbers = {name: given[name] for name in order}

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __hash__(self) -> int:
        return hash(frozenset(self._numbers.items()))

    def __or__(self, other: Mapping[str, float]) -> Self:
        return type(self)({**self._numbers, **other})

    def only(self, names: Iterable[str]) -> Self:
        """Return the numbers of these kinds alone, as far as there are such."""
        return type(self)({name: self._numbers[name] for name in names if name in self._numbers})


class Cost(_Numbers):
    """The cost of one forward pass of one image, of each kind that was counted or measured.

    Example: ``Cost(madds=1000, num_params=20)["madds"]`` is 1000.
    """

    __slots__ = ()

    def __add__(self, other: "Cost") -> "Cost":
        """Combine the costs of two parts of a network, of the kinds that both have: by their sum or their maximum."""
        return Cost(
            {
                name: max(value, other[name]) if kind(name).is_max else value + other[name]
                for name, value in self.items()
                if name in other
            }
        )

    def __repr__(self) -> str:
        return f"Cost({self._numbers})"


UNMEASURED = Cost()
"""No cost of any kind."""


class Budget(_Numbers):
    """Upper limits on costs; ``admits`` is the only comparison of a cost with a limit.

    A kind without a limit is absent. Example: ``Budget(madds=1000.0)``.
    """

    __slots__ = ()

    def admits(self, cost: Cost) -> bool:
        """Tell whether the cost is within every limit; a cost equal to its limit is.

        Raises:
            ConfigError: A number that is limited was not counted or measured.
        """
        missing = [name for name in self if name not in cost]
        if missing:
            raise ConfigError(
                f"search.budget.{missing[0]} is set, so it must be measured, but was not. Run the cost stage."
            )
        return all(cost[name] <= self.ceiling(name) for name in self)

    def ceiling(self, name: str) -> float:
        """Return the greatest cost called ``name`` that is admitted; infinite without a limit.

        Code that compares whole arrays of costs with the budget needs this number.
        """
        return self.get(name, float("inf")) * (1 + EPSILON)

    def maxima(self) -> "Budget":
        """Return the limits on kinds that combine by their maximum.

        Such a limit is kept if and only if each part of the network keeps it alone.
        """
        return self.only(name for name in self if kind(name).is_max)

    def excess(self, cost: Cost) -> float:
        """Return how far a cost is over the limit that it misses most, as a share of that limit; 0 where it fits.

        Example: 120 madds under a limit of 100 give 0.2.
        """
        return 0.0 if self.admits(cost) else max(cost[name] / limit - 1 for name, limit in self.items())

    def __str__(self) -> str:
        return " and ".join(f"{name} <= {quantity(name, limit)}" for name, limit in self.items()) or "no limit"

    def __repr__(self) -> str:
        return f"Budget({self._numbers})"

    @classmethod
    def resolve(cls, asked: Mapping[str, float | str | None], teacher: Cost) -> "Budget":
        """Make the budget of a mapping such as ``{"madds": "30%", "latency_ms": 2.5}``.

        Args:
            asked: For each kind of cost a number, a percentage of the teacher's cost, or None for no limit.
            teacher: The teacher's cost.

        Raises:
            ConfigError: A percentage is asked for of a cost of the teacher that was not measured.
        """
        limits: dict[str, float | None] = {}
        for name, value in asked.items():
            if not isinstance(value, str):
                limits[name] = value
            elif name in teacher:
                limits[name] = float(teacher[name]) * float(value.removesuffix("%")) / 100
            else:
                raise ConfigError(
                    f"search.budget.{name} is {value!r}, a share of the teacher's, which was not measured. Run the "
                    "cost stage."
                )
        return cls(limits)
