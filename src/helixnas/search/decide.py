"""Decide which architecture to take, the exact optimum or one that measured better, and list what was found.

The lists go into ``frontier.csv`` and ``trials.csv``, which ``dvc plots`` and the report page read.
"""

from collections.abc import Sequence

import pandas as pd

from helixnas.results import Budget, Choice, SearchResult
from helixnas.search.exact import ExactResult
from helixnas.search.measured.halving import Rung
from helixnas.telling import quantity


def decide(
    exact: ExactResult,
    trials: Sequence[Choice],
    budget: Budget,
    trained: Rung | None = None,
    distrust: str | None = None,
) -> SearchResult:
    """Choose from the exact optimum and the architectures that were measured.

    The lowest loss of many architectures that were measured on a few hundred images is luck. So the tables' optimum is
    chosen, unless a measured architecture leads by more than one standard error of the difference, image by image; of
    the architectures that do so, the one with the lowest val_loss is chosen. Only architectures within the budget
    count, by what was measured of them as a whole where that is limited. Where the optimum, once measured, misses a
    limit that others meet, the one of these others with the lowest val_loss is chosen.

    Where students were trained, those of the last rung alone are compared, the optimum among them.

    Args:
        exact: The result of the exact search.
        trials: The measured architectures; may be empty.
        budget: The limits.
        trained: The last rung of the brief trainings; None where there were none.
        distrust: Why the tables' optimum has no advantage; then the lowest val_loss within the budget is chosen.

    Returns:
        The result of the search; ``reason`` says why this architecture was chosen, with the numbers.
    """
    judged = trials if trained is None else trained.students
    best = next((trial for trial in judged if trial.architecture == exact.best[0].architecture), exact.best[0])
    fitting = [trial for trial in judged if _fits(trial, budget)]
    if distrust is not None:
        chosen = min(fitting, key=_val_loss, default=best)
        reason = (
            _distrusting(chosen, fitting, distrust) if fitting else _reason(chosen, best, fitting, len(judged), budget)
        )
    else:
        rivals = fitting if best not in fitting else [trial for trial in fitting if trial.lead and trial.lead.is_clear]
        chosen = best if best.val_loss is None else min(rivals, key=_val_loss, default=best)
        reason = _reason(chosen, best, fitting, len(judged), budget)
    if trained is not None:
        reason += f" These losses are of students that were trained for {trained.epochs} epochs."
    return SearchResult(
        chosen=chosen,
        chosen_by="exact" if chosen is best else "refine" if trained is None else "halving",
        reason=reason,
        exact=best,
        optimality=exact.optimality,
        budget=budget,
        best=exact.best,
        frontier=exact.frontier,
        num_trials=len(trials),
    )


def _distrusting(chosen: Choice, fitting: Sequence[Choice], distrust: str) -> str:
    return (
        f"{distrust} As search.fallback says, the best measured one was taken: its validation loss, "
        f"{_val_loss(chosen):.4f}, is the lowest of {len(fitting)} within the budget."
    )


def _reason(chosen: Choice, best: Choice, fitting: Sequence[Choice], num_trials: int, budget: Budget) -> str:
    if not num_trials:
        return "The tables alone decided: no architecture was measured."
    if best.val_loss is None:
        return f"The tables decided: their optimum is not among the {num_trials} measured architectures."
    if not fitting:
        return (
            f"None of the {num_trials} measured architectures met {budget.only(best.measured)} as a whole, "
            "so the tables' optimum stands."
        )
    if best not in fitting:
        # counted costs fit, so it is a measured one that does not
        missed = next(name for name, value in best.measured.items() if value > budget.ceiling(name))
        return (
            f"Its measured validation loss, {_val_loss(chosen):.4f}, is the lowest of {len(fitting)} within the "
            f"budget; the tables' optimum measured {quantity(missed, best.measured[missed])}, over the limit."
        )
    if chosen is best:
        nearest = min((trial for trial in fitting if trial is not best and trial.lead), key=_val_loss, default=None)
        return (
            f"Of the {len(fitting)} measured architectures within the budget none has a validation loss that is lower "
            f"than the tables' optimum's, {_val_loss(best):.4f}, by more than one standard error"
            + (f"; the lowest of the others, {_val_loss(nearest):.4f}, is {_lead(nearest)}." if nearest else ".")
        )
    return (
        f"Its measured validation loss, {_val_loss(chosen):.4f}, is {_lead(chosen)} than the tables' optimum's, "
        f"{_val_loss(best):.4f}: of {len(fitting)} within the budget the lowest that leads by more than one."
    )


def _lead(trial: Choice) -> str:
    """The difference to the optimum in words, such as "lower by 0.0300 (standard error 0.0100, n = 270 images)"."""
    assert trial.lead is not None  # it was measured
    lead, word = trial.lead, "lower" if trial.lead.mean > 0 else "higher"
    return f"{word} by {abs(lead.mean):.4f} (standard error {lead.standard_error:.4f}, n = {lead.num_images} images)"


def _fits(trial: Choice, budget: Budget) -> bool:
    return budget.admits(trial.cost | trial.measured)


def _val_loss(trial: Choice) -> float:
    assert trial.val_loss is not None  # it was measured
    return trial.val_loss


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


def trials_table(trials: Sequence[Choice], chosen: Choice, rungs: Sequence[Rung] = ()) -> pd.DataFrame:
    """Make a table of every measured architecture, one per row, in the order given.

    Returns:
        The columns of ``frontier_table``, then val_loss. Costs that were measured are those of the whole network. Where
        students were trained, a column such as val_loss_after_3 follows for each rung, empty for those not on it.
    """
    if not trials:
        return pd.DataFrame(columns=[*_row(chosen, chosen), "val_loss"])
    rows = [{**_row(trial, chosen), **trial.measured, "val_loss": trial.val_loss} for trial in trials]
    table = pd.DataFrame(rows).astype({"val_loss": "float64"})
    for rung in rungs:
        losses = {student.architecture.arch_id: student.val_loss for student in rung.students}
        table[f"val_loss_after_{rung.epochs}"] = table["arch_id"].map(losses).astype("float64")
    return table


def _row(choice: Choice, chosen: Choice) -> dict[str, object]:
    return {
        "arch_id": choice.architecture.arch_id,
        "predicted_loss": choice.predicted_loss,
        **choice.cost,
        "is_chosen": choice.architecture == chosen.architecture,
    }
