"""Decide which architecture to take: the exact optimum of the tables, or an architecture that measured better."""

from collections.abc import Sequence

from helixnas.results import Budget, Choice, SearchResult
from helixnas.search.exact import ExactResult
from helixnas.telling import quantity


def decide(exact: ExactResult, trials: Sequence[Choice], budget: Budget) -> SearchResult:
    """Choose from the exact optimum and the architectures that were measured.

    The lowest loss of many architectures that were measured on a few hundred images is luck. So the tables' optimum is
    chosen, unless a measured architecture leads by more than one standard error of the difference, image by image; of
    the architectures that do so, the one with the lowest val_loss is chosen. Only architectures within the budget
    count, by what was measured of them as a whole where that is limited. Where the optimum, once measured, misses a
    limit that others meet, the one of these others with the lowest val_loss is chosen.

    Args:
        exact: The result of the exact search.
        trials: The measured architectures; may be empty.
        budget: The limits.

    Returns:
        The result of the search; ``reason`` says why this architecture was chosen, with the numbers.
    """
    best = next((trial for trial in trials if trial.architecture == exact.best[0].architecture), exact.best[0])
    fitting = [trial for trial in trials if _fits(trial, budget)]
    rivals = fitting if best not in fitting else [trial for trial in fitting if trial.lead and trial.lead.is_clear]
    chosen = best if best.val_loss is None else min(rivals, key=_val_loss, default=best)
    return SearchResult(
        chosen=chosen,
        chosen_by="exact" if chosen is best else "refine",
        reason=_reason(chosen, best, fitting, len(trials), budget),
        exact=best,
        optimality=exact.optimality,
        budget=budget,
        best=exact.best,
        frontier=exact.frontier,
        num_trials=len(trials),
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
