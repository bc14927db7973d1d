"""The search as tables, for ``frontier.csv`` and ``trials.csv``, which ``dvc plots`` and the report page read."""

from collections.abc import Sequence

import pandas as pd

from helixnas.results import Choice, SearchResult


def frontier_table(result: SearchResult) -> pd.DataFrame:
    """Make a table of the frontier by rising madds, one architecture per row, the chosen one marked.

    A choice of refine may lie off the frontier; it has a row all the same.

    Returns:
        Columns: arch_id, predicted_loss, madds, num_params, latency_ms (NaN where not measured), is_chosen.
    """
    choices = list(result.frontier)
    if result.chosen.architecture not in {choice.architecture for choice in choices}:
        choices.append(result.chosen)
    rows = [_row(choice, result.chosen) for choice in choices]
    return pd.DataFrame(rows, columns=_COLUMNS).astype(_TYPES).sort_values("madds", kind="stable", ignore_index=True)


def trials_table(trials: Sequence[Choice], chosen: Choice) -> pd.DataFrame:
    """Make a table of every measured architecture, one per row, in the order given.

    Returns:
        The columns of ``frontier_table``, then val_loss. latency_ms is that of the whole network, where it was
            measured.
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
