"""Optuna over architectures, on what is really measured. Seeded with the exact search's best, resumable to the bit."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from helixnas.progress import Progress
from helixnas.search_space import Architecture, Budget, Choice, Cost, SearchSpace

Price = Callable[[Architecture], Choice]
"""What the tables say of an architecture: predicted_loss and cost."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one assembled architecture really does: its loss on the rating part, its time as a whole (None: not taken)."""

    val_loss: float
    latency_ms: float | None


Objective = Callable[[Architecture], Measurement]


def refine(
    space: SearchSpace,
    seeds: Sequence[Choice],
    price: Price,
    objective: Objective,
    budget: Budget,
    num_trials: int,
    seed: int,
    journal: Path,
    progress: Progress,
) -> tuple[Choice, ...]:
    """Measure ``num_trials`` architectures and return the distinct ones that the tables admit, in order of trial.

    A trial picks each block's path among those that ``seeds`` use: the seeds are the k best and the frontier, so these
    are the paths that are good for their cost, and a few hundred combinations instead of 10^9. The seeds themselves go
    first. What the tables put over budget is recorded as infeasible and not measured; nothing is measured twice.

    ``journal`` is Optuna's own file. After a kill the same call goes on with the same trials: the n-th proposal
    depends on ``seed``, n and the trials finished before it alone.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    choices = _choices(space, seeds)
    study = _study(journal)
    for number in range(_settle(study), num_trials):
        study.sampler = _sampler(seed + number)
        if number < len(seeds):
            study.enqueue_trial(_params(seeds[number].architecture))
        _run(study, study.ask(choices), space, price, objective, budget)
        progress(number + 1, num_trials)
    return _measured(study, space, price)


def _choices(space: SearchSpace, seeds: Sequence[Choice]) -> dict[str, CategoricalDistribution]:
    """A categorical per block: the keys of the paths that the seeds use, in order of appearance."""
    columns = zip(*(seed.architecture.paths for seed in seeds), strict=True)
    keys = [tuple(dict.fromkeys(path.key for path in column)) for column in columns]
    return {
        _name(block.block_id): CategoricalDistribution(options)
        for block, options in zip(space.blocks, keys, strict=True)
    }


def _study(journal: Path) -> optuna.Study:
    journal.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(study_name="refine", storage=storage, direction="minimize", load_if_exists=True)


def _settle(study: optuna.Study) -> int:
    """Fail the trials that a kill left open; the number of finished ones."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True)


def _run(
    study: optuna.Study, trial: Trial, space: SearchSpace, price: Price, objective: Objective, budget: Budget
) -> None:
    """Measure a trial's architecture, or take what is known of it: nothing is measured twice."""
    architecture = _architecture(trial.params, space)
    cost = price(architecture).cost
    if not budget.admits(cost):
        _constrain(trial, cost, budget)
        study.tell(trial, _worst(study))
        return
    measurement = _known(study, trial.params) or objective(architecture)
    trial.set_user_attr("latency_ms", measurement.latency_ms)
    trial.set_user_attr("is_measured", True)
    latency_ms = cost.latency_ms if measurement.latency_ms is None else measurement.latency_ms
    _constrain(trial, replace(cost, latency_ms=latency_ms), budget)
    study.tell(trial, measurement.val_loss)


def _constrain(trial: Trial, cost: Cost, budget: Budget) -> None:
    """Tell Optuna by how much each limit is missed, as a share of it; 0 and below is feasible."""
    for name, limit in budget.limits.items():
        excess = getattr(cost, name) / limit - 1
        trial.set_constraint(name, min(excess, 0.0) if Budget(**{name: limit}).admits(cost) else excess)


def _worst(study: optuna.Study) -> float:
    """A value for a trial that was not measured: no better than any that was."""
    return max((trial.value for trial in _complete(study)), default=0.0)


def _known(study: optuna.Study, params: dict[str, str]) -> Measurement | None:
    for trial in _complete(study):
        if trial.params == params and "is_measured" in trial.user_attrs:
            return Measurement(trial.value, trial.user_attrs["latency_ms"])
    return None


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return trials


def _measured(study: optuna.Study, space: SearchSpace, price: Price) -> tuple[Choice, ...]:
    found: dict[str, Choice] = {}
    for trial in _complete(study):
        if "is_measured" in trial.user_attrs:
            choice = price(_architecture(trial.params, space))
            latency_ms = trial.user_attrs["latency_ms"]
            measured = replace(choice, val_loss=trial.value, measured_latency_ms=latency_ms)
            found.setdefault(choice.architecture.arch_id, measured)
    return tuple(found.values())


def _name(block_id: int) -> str:
    return f"block_{block_id}"


def _params(architecture: Architecture) -> dict[str, str]:
    return {_name(path.block_id): path.key for path in architecture.paths}


def _architecture(params: dict[str, str], space: SearchSpace) -> Architecture:
    return Architecture(tuple(block.parse_path(params[_name(block.block_id)]) for block in space.blocks))
