"""The search as tables, for ``frontier.csv`` and ``trials.csv``, which ``dvc plots`` and the report page read."""

from collections.abc import Sequence

import pandas as pd

from helixnas.results import Choice, SearchResult


def frontier_table(result: SearchResult) -> pd.DataFrame:
    """Make a table of the frontier by rising madds, one architecture per row, the chosen one marked.

    A choice of refine may lie off the frontier; it has a row all the same.

    Returns:
        Columns: arch_id, predicted_loss, each kind of cost in the tables, is_chosen.
    """
    choices = list(result.frontier)
    if result.chosen.architecture not in {choice.architecture for choice in choices}:
        choices.append(result.chosen)
    rows = [_row(choice, result.chosen) for choice in choices]
    return pd.DataFrame(rows).sort_values("madds", kind="stable", ignore_index=True)


def trials_table(trials: Sequence[Choice], chosen: Choice) -> pd.DataFrame:
    """Make a table of every measured architecture, one per row, in the order given.

    Returns:
        The columns of ``frontier_table``, then val_loss. Costs that were measured are those of the whole network.
    """
    if not trials:
        return pd.DataFrame(columns=[*_row(chosen, chosen), "val_loss"])
    rows = [{**_row(trial, chosen), **trial.measured, "val_loss": trial.val_loss} for trial in trials]
    return pd.DataFrame(rows).astype({"val_loss": "float64"})


def _row(choice: Choice, chosen: Choice) -> dict[str, object]:
    return {
        "arch_id": choice.architecture.arch_id,
        "predicted_loss": choice.predicted_loss,
        **choice.cost,
        "is_chosen": choice.architecture == chosen.architecture,
    }
