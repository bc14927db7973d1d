"""The cost of a network, and the budget that limits it."""

from dataclasses import dataclass, fields

from helixnas.errors import ConfigError
from helixnas.telling import quantity

EPSILON = 1e-9
"""Relative slack of a limit, so that rounding in a sum of measured times breaks no limit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one forward pass of one image; ``latency_ms`` is None where latency was not measured."""

    madds: int
    num_params: int
    latency_ms: float | None = None

    def __add__(self, other: "Cost") -> "Cost":
        is_measured = self.latency_ms is not None and other.latency_ms is not None
        latency_ms = (self.latency_ms or 0.0) + (other.latency_ms or 0.0) if is_measured else None
        return Cost(self.madds + other.madds, self.num_params + other.num_params, latency_ms)


COST_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Cost))


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limits on a cost, where None is no limit; ``admits`` is the only comparison of a cost with a limit."""

    madds: float | None = None
    num_params: float | None = None
    latency_ms: float | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by cost name, in the order of COST_NAMES."""
        pairs = {name: getattr(self, name) for name in COST_NAMES}
        return {name: limit for name, limit in pairs.items() if limit is not None}

    def admits(self, cost: Cost) -> bool:
        """Tell whether the cost is within every limit; a cost equal to its limit is.

        Raises:
            ConfigError: A number that is limited was not measured.
        """
        values = {name: getattr(cost, name) for name in self.limits}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise ConfigError(
                f"search.budget.{missing[0]} is set, so it must be measured, but was not. Run the cost stage."
            )
        return all(values[name] <= self.ceiling(name) for name in self.limits)

    def ceiling(self, name: str) -> float:
        """Return the greatest cost called ``name`` that is admitted; infinite without a limit.

        Code that compares whole arrays of costs with the budget needs this number.
        """
        limit = self.limits.get(name)
        return float("inf") if limit is None else limit * (1 + EPSILON)

    def __str__(self) -> str:
        return " and ".join(f"{name} <= {quantity(name, limit)}" for name, limit in self.limits.items()) or "no limit"

    @classmethod
    def resolve(cls, asked: dict[str, float | str | None], teacher: Cost) -> "Budget":
        """Make the budget of a mapping such as ``{"madds": "30%", "latency_ms": 2.5}``.

        Args:
            asked: For each cost name a number, a percentage of the teacher's cost, or None for no limit.
            teacher: The teacher's cost.

        Raises:
            ConfigError: A percentage is asked for of a cost of the teacher that was not measured.
        """
        return cls(**{name: _limit(name, value, teacher) for name, value in asked.items()})


def _limit(name: str, value: float | str | None, teacher: Cost) -> float | None:
    if not isinstance(value, str):
        return value
    whole = getattr(teacher, name)
    if whole is None:
        raise ConfigError(
            f"search.budget.{name} is {value!r}, a share of the teacher's, which was not measured. Run the cost stage."
        )
    return float(whole) * float(value.removesuffix("%")) / 100
