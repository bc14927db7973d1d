"""An architecture with which the chosen student is compared: a plain value, from the compare stage to the report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from helixnas.results import Cost


@dataclass(frozen=True, slots=True)
class Reached:
    """The loss and accuracy of a network on the rating part.

    Attributes:
        val_loss: Mean cross-entropy (natural log).
        val_acc: Top-1 accuracy, 0 to 1.
    """

    val_loss: float
    val_acc: float


@dataclass(frozen=True, slots=True)
class Rival:
    """One alternative to the chosen student, with its cost from the cost tables.

    Attributes:
        key: The folder of its weights, such as ``obvious_0``: its kind and a number.
        name: For people.
        arch_id: Identity string of its architecture.
        cost: As the cost tables say.
        num_layers: How many of the teacher's layers that could be left out an obvious way keeps; None for other rivals.
        is_chosen: Whether it is the chosen student, which is not trained twice.
        before: Loss and accuracy before retraining; None where not measured.
        after: Loss and accuracy after retraining; None where not retrained.
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
        """Return the kind of the rival.

        "obvious" is the teacher without some of its layers; "random" a random architecture of distilled blocks;
        "undistilled" the chosen architecture of the teacher's weights and fresh candidates; "scratch" the chosen
        architecture with no weight that was learnt.
        """
        return self.key.partition("_")[0]

    @property
    def has_weights(self) -> bool:
        """Whether weights are kept: those of retrained rivals, and the untrained ones of a rival that was chosen."""
        return self.after is not None or self.is_chosen


def rival_to_json(rival: Rival) -> dict[str, Any]:
    """Write a rival as plain JSON types."""
    return asdict(replace(rival, cost=Cost())) | {"cost": dict(rival.cost)}


def rival_from_json(value: Mapping[str, Any]) -> Rival:
    """Read the rival that ``rival_to_json`` wrote."""
    reached = {name: value[name] and Reached(**value[name]) for name in ("before", "after")}
    return Rival(**{**value, **reached, "cost": Cost(value["cost"])})
