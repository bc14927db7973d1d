"""Which architecture it is to be: the exact optimum of the tables, or one that measured better."""

from collections.abc import Sequence
from dataclasses import replace

from helixnas.results import Budget, Choice, SearchResult
from helixnas.search.exact import ExactResult
from helixnas.telling import quantity


def decide(exact: ExactResult, trials: Sequence[Choice], budget: Budget) -> SearchResult:
    """The result of a search, from the exact optimum and the architectures that were measured.

    Of many that were measured on a few hundred images the lowest loss is luck. So the tables' optimum is chosen,
    unless a measured architecture within the budget, by its measured latency where that is limited, leads by more than
    one standard error of the difference, image by image: of those the one with the lowest val_loss. Where the optimum
    itself, once measured, misses the latency limit that others meet, it is the one of these with the lowest val_loss.
    ``reason`` says which it was, with the numbers.
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
            f"None of the {num_trials} measured architectures met latency_ms <= {budget.latency_ms:.3g} as a whole, "
            "so the tables' optimum stands."
        )
    if best not in fitting:
        assert best.measured_latency_ms is not None  # counted costs fit, so it is the latency that does not
        latency = quantity("latency_ms", best.measured_latency_ms)
        return (
            f"Its measured validation loss, {_val_loss(chosen):.4f}, is the lowest of {len(fitting)} within the "
            f"budget; the tables' optimum measured {latency}, over the limit."
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
    return budget.admits(replace(trial.cost, latency_ms=trial.measured_latency_ms))


def _val_loss(trial: Choice) -> float:
    assert trial.val_loss is not None  # it was measured
    return trial.val_loss
