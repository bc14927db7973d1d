"""An architecture that the chosen student is held against: a plain value, from the compare stage to the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from helixnas.results import Cost


@dataclass(frozen=True, slots=True)
class Reached:
    """What a network reaches on the rating part: mean cross-entropy (natural log), and top-1 accuracy (0 to 1)."""

    val_loss: float
    val_acc: float


@dataclass(frozen=True, slots=True)
class Rival:
    """One alternative, at what the cost tables say it costs.

    ``key``, such as ``obvious_0``, names the folder of its weights.
    ``num_layers`` says how many of the teacher's layers that could be left out an obvious way keeps. ``before`` and
    ``after`` retraining are None where that was not measured.
    """

    key: str
    name: str
    arch_id: str
    cost: Cost
    num_layers: int | None = None
    is_chosen: bool = False
    before: Reached | None = None
    after: Reached | None = None

    @property
    def kind(self) -> str:
        """How it was found: ``obvious``, the teacher without some of its layers, or ``random``."""
        return self.key.partition("_")[0]

    @property
    def has_weights(self) -> bool:
        """Whether weights are kept: of what was retrained, and the untrained ones of a rival that was chosen itself."""
        return self.after is not None or self.is_chosen


def rival_from_json(value: Mapping[str, Any]) -> Rival:
    """The rival of which ``dataclasses.asdict`` made ``value``."""
    reached = {name: value[name] and Reached(**value[name]) for name in ("before", "after")}
    return Rival(**{**value, **reached, "cost": Cost(**value["cost"])})
