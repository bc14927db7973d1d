"""Which architecture it is to be: the exact optimum of the tables, or one that measured better."""

from collections.abc import Sequence
from dataclasses import replace

from helixnas.search.exact import ExactResult
from helixnas.search_space import Budget, Choice, SearchResult, quantity


def decide(exact: ExactResult, trials: Sequence[Choice], budget: Budget) -> SearchResult:
    """The result of a search, from the exact optimum and the architectures that were measured.

    The tables' optimum is chosen unless a measured architecture within the budget, by its measured latency where that
    is limited, has a lower val_loss; or unless the optimum itself, once measured, misses the latency limit that
    another meets. ``reason`` says which it was, with the numbers.
    """
    best = next((trial for trial in trials if trial.architecture == exact.best[0].architecture), exact.best[0])
    fitting = [trial for trial in trials if _fits(trial, budget)]
    rival = min(fitting, key=_val_loss, default=None)
    is_beaten = best.val_loss is not None and not (best in fitting and _val_loss(best) <= _val_loss(rival or best))
    chosen = rival if rival is not None and is_beaten else best
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
    if chosen is best:
        return (
            f"Of the {len(fitting)} measured architectures within the budget none has a lower validation loss than the "
            f"tables' optimum, {_val_loss(best):.4f}."
        )
    lead = f"Its measured validation loss, {_val_loss(chosen):.4f}, is the lowest of {len(fitting)} within the budget; "
    if best not in fitting:
        assert best.measured_latency_ms is not None  # counted costs fit, so it is the latency that does not
        return (
            lead + f"the tables' optimum measured {quantity('latency_ms', best.measured_latency_ms)}, over the limit."
        )
    return lead + f"the tables' optimum has {_val_loss(best):.4f}."


def _fits(trial: Choice, budget: Budget) -> bool:
    return budget.admits(replace(trial.cost, latency_ms=trial.measured_latency_ms))


def _val_loss(trial: Choice) -> float:
    assert trial.val_loss is not None  # it was measured
    return trial.val_loss
