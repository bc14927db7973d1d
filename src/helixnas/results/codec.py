"""Convert values to plain JSON types and back, where several stages read a value that one stage wrote.

An architecture is written as its arch_id, so that reading it back checks that it belongs to the search space.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from helixnas.results.cost import Budget, Cost
from helixnas.results.figures import Comparison, Figure, Figures, Retraining
from helixnas.results.tables import Choice, Lead, SearchResult
from helixnas.search_space import SearchSpace

Json = Mapping[str, Any]
"""A JSON object: keys are strings, values are plain types."""


def figures_to_json(figures: Figures) -> dict[str, Any]:
    """Write the final figures as plain JSON types."""
    return asdict(  # costs and budgets as dicts too
        figures,
        dict_factory=lambda items: {
            name: dict(value) if isinstance(value, Mapping) else value for name, value in items
        },
    )


def figures_from_json(value: Json) -> Figures:
    """Read the figures that ``figures_to_json`` wrote."""
    rows = {name: _figure(value[name]) for name in ("teacher", "student_before", "student")}
    compared = [Comparison(**{**each, "figure": _figure(each["figure"])}) for each in value["comparisons"]]
    rest = {
        "budget": Budget(value["budget"]),
        "retraining": Retraining(**value["retraining"]),
        "warnings": tuple(value["warnings"]),
        "comparisons": tuple(compared),
    }
    return Figures(**{**value, **rows, **rest})


def _figure(value: Json) -> Figure:
    return Figure(**{**value, "cost": Cost(value["cost"])})


def choice_to_json(choice: Choice) -> dict[str, Any]:
    """Write a choice as plain JSON types, its architecture as an arch_id."""
    return {
        "arch_id": choice.architecture.arch_id,
        "predicted_loss": choice.predicted_loss,
        "cost": dict(choice.cost),
        "val_loss": choice.val_loss,
        "measured": dict(choice.measured),
        "lead": choice.lead and asdict(choice.lead),
    }


def choice_from_json(value: Json, space: SearchSpace) -> Choice:
    """Read the choice that ``choice_to_json`` wrote.

    Raises:
        SpaceMismatchError: The choice's arch_id belongs to another space than ``space``.
    """
    return Choice(
        architecture=space.parse(value["arch_id"]),
        predicted_loss=value["predicted_loss"],
        cost=Cost(value["cost"]),
        val_loss=value["val_loss"],
        measured=Cost(value["measured"]),
        lead=value["lead"] and Lead(**value["lead"]),
    )


def search_result_to_json(result: SearchResult) -> dict[str, Any]:
    """Write a search result as plain JSON types."""
    return {
        "chosen": choice_to_json(result.chosen),
        "chosen_by": result.chosen_by,
        "reason": result.reason,
        "exact": choice_to_json(result.exact),
        "optimality": result.optimality,
        "budget": dict(result.budget),
        "best": [choice_to_json(choice) for choice in result.best],
        "frontier": [choice_to_json(choice) for choice in result.frontier],
        "num_trials": result.num_trials,
    }


def search_result_from_json(value: Json, space: SearchSpace) -> SearchResult:
    """Read the result that ``search_result_to_json`` wrote.

    Raises:
        SpaceMismatchError: The result comes from another space than ``space``.
    """
    choices = {name: choice_from_json(value[name], space) for name in ("chosen", "exact")}
    lists = {name: tuple(choice_from_json(item, space) for item in value[name]) for name in ("best", "frontier")}
    return SearchResult(**{**value, **choices, **lists, "budget": Budget(value["budget"])})
