"""Which architecture it is to be: the exact optimum of the tables, or one that measured better."""

from collections.abc import Sequence

from helixnas.search.exact import ExactResult
from helixnas.search_space import Budget, Choice, SearchResult


def decide(exact: ExactResult, trials: Sequence[Choice], budget: Budget) -> SearchResult:
    """The result of a search, from the exact optimum and the architectures that were measured.

    The measured architecture of least val_loss is chosen, the exact one where it ties or nothing was measured. Where
    latency is limited, only who met the limit when measured as a whole can be chosen by measurement.
    """
    best = exact.best[0]
    chosen, chosen_by, reason = _choose(best, trials, budget)
    return SearchResult(
        chosen=chosen,
        chosen_by=chosen_by,
        reason=reason,
        exact=next((trial for trial in trials if trial.architecture == best.architecture), best),
        optimality=exact.optimality,
        budget=budget,
        best=exact.best,
        frontier=exact.frontier,
        num_trials=len(trials),
    )


def _choose(best: Choice, trials: Sequence[Choice], budget: Budget) -> tuple[Choice, str, str]:
    if not trials:
        return best, "exact", "The tables alone decided: no trial was measured."
    fitting = [trial for trial in trials if _fits(trial, budget)]
    if not fitting:
        return (
            best,
            "exact",
            f"None of {len(trials)} measured architectures met the latency limit as a whole; the tables' optimum stands.",
        )
    winner = min(fitting, key=_val_loss)
    exact = next((trial for trial in fitting if trial.architecture == best.architecture), None)
    if exact is None:
        return (
            winner,
            "refine",
            (
                f"Measured as a whole, the tables' optimum misses the latency limit; of {len(fitting)} that meet it, "
                f"this one has the least validation loss, {_val_loss(winner):.4f}."
            ),
        )
    if _val_loss(exact) <= _val_loss(winner):
        return (
            exact,
            "exact",
            (
                f"Of {len(fitting)} measured architectures none has a lower validation loss than the tables' optimum, "
                f"{_val_loss(exact):.4f}."
            ),
        )
    return (
        winner,
        "refine",
        (
            f"Its measured validation loss, {_val_loss(winner):.4f}, is the least of {len(fitting)}; the tables' optimum "
            f"has {_val_loss(exact):.4f}."
        ),
    )


def _fits(trial: Choice, budget: Budget) -> bool:
    if budget.latency_ms is None:
        return True
    return trial.measured_latency_ms is not None and Budget(latency_ms=budget.latency_ms).admits(
        type(trial.cost)(trial.cost.madds, trial.cost.num_params, trial.measured_latency_ms)
    )


def _val_loss(trial: Choice) -> float:
    assert trial.val_loss is not None  # every trial was measured
    return trial.val_loss
