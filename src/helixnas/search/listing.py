"""The search as tables: what ``frontier.csv`` and ``trials.csv`` hold, for ``dvc plots`` and for the page."""

from collections.abc import Sequence

import pandas as pd

from helixnas.results import Choice, SearchResult


def frontier_table(result: SearchResult) -> pd.DataFrame:
    """The frontier from the cheapest architecture to the best, one a row, the chosen one marked.

    Columns: arch_id, predicted_loss, madds, num_params, latency_ms (NaN where not measured), is_chosen. A choice that
    refine made may lie off the frontier; it has its row all the same, by its madds.
    """
    choices = list(result.frontier)
    if result.chosen.architecture not in {choice.architecture for choice in choices}:
        choices.append(result.chosen)
    rows = [_row(choice, result.chosen) for choice in choices]
    return pd.DataFrame(rows, columns=_COLUMNS).astype(_TYPES).sort_values("madds", kind="stable", ignore_index=True)


def trials_table(trials: Sequence[Choice], chosen: Choice) -> pd.DataFrame:
    """Every architecture that was measured, one a row, in the order given.

    Columns as ``frontier_table``, then val_loss. latency_ms is the whole network's measured one, where there is one.
    """
    rows = [
        _row(trial, chosen) | {"latency_ms": trial.measured_latency_ms, "val_loss": trial.val_loss} for trial in trials
    ]
    return pd.DataFrame(rows, columns=[*_COLUMNS, "val_loss"]).astype({**_TYPES, "val_loss": "float64"})


_TYPES = {
    "arch_id": "str",
    "predicted_loss": "float64",
    "madds": "int64",
    "num_params": "int64",
    "latency_ms": "float64",
    "is_chosen": "bool",
}
_COLUMNS = list(_TYPES)


def _row(choice: Choice, chosen: Choice) -> dict[str, object]:
    return {
        "arch_id": choice.architecture.arch_id,
        "predicted_loss": choice.predicted_loss,
        "madds": choice.cost.madds,
        "num_params": choice.cost.num_params,
        "latency_ms": choice.cost.latency_ms,
        "is_chosen": choice.architecture == chosen.architecture,
    }
