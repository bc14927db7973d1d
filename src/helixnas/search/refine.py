"""Optuna over architectures, on what is really measured. Seeded with the exact search's best, resumable to the bit."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import Trial, TrialState

from helixnas.progress import Progress
from helixnas.search.journal import open_study
from helixnas.search.options import cost_value
from helixnas.search.price import Pricer
from helixnas.search_space import Architecture, Budget, Choice, Cost, SearchSpace

_PATIENCE = 4
"""Proposals for each architecture to measure: repeated ones, and those over budget, cost next to nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one assembled architecture really does: loss on the rating part, time as a whole (None: not taken)."""

    val_loss: float
    latency_ms: float | None


Objective = Callable[[Architecture], Measurement]


def refine(
    space: SearchSpace,
    *,
    seeds: Sequence[Choice],
    price: Pricer,
    objective: Objective,
    budget: Budget,
    num_trials: int,
    seed: int,
    journal: Path,
    progress: Progress,
) -> tuple[Choice, ...]:
    """Measure up to ``num_trials`` distinct architectures and return them as measured, in order of trial.

    A proposal picks a path in each block: one of the block's own frontier, which no other path of the block beats in
    distill_loss and in every cost that counts, or one that ``seeds`` use. An additive prediction never needs another;
    that leaves some tens of paths a block instead of all. The seeds themselves are proposed first.

    The objective is val_loss. Every limit is a constraint: madds and num_params as the tables know them to the last
    unit, so that what they put over budget is recorded as infeasible and not measured; latency_ms as measured, since
    the tables only estimate it. Nothing is measured twice. A val_loss that is NaN counts as infinite.

    ``journal`` is Optuna's own file, for this search alone. After a kill the same call goes on to the same end: the
    n-th proposal depends on ``seed``, n and the trials finished before it, and on nothing else.
    """
    choices = _choices(space, seeds, price.contenders(budget))
    study = open_study(journal, _fingerprint(space, choices, seeds, budget, seed))
    trials = _Trials(study, space, price, budget)
    num_combinations = math.prod(len(choice.choices) for choice in choices.values())
    while len(trials.measured) < num_trials and trials.num_finished < _PATIENCE * num_trials:
        if len(trials.proposed) == num_combinations:
            break
        progress(len(trials.measured), num_trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed + trials.num_finished, n_startup_trials=0)
        if trials.num_finished < len(seeds) and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(_params(seeds[trials.num_finished].architecture))
        trials.run(study.ask(choices), objective)
    progress(num_trials, num_trials)
    return tuple(trials.measured.values())


class _Trials:
    """A study's finished trials, as architectures: those proposed, and those of them that were measured."""

    def __init__(self, study: optuna.Study, space: SearchSpace, price: Pricer, budget: Budget) -> None:
        self._study, self._space, self._price, self._budget = study, space, price, budget
        self._counted = replace(budget, latency_ms=None)
        self.num_finished = 0
        self.proposed: set[Architecture] = set()
        self.measured: dict[Architecture, Choice] = {}
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            self._remember(self._architecture(trial.params), trial.value, trial.user_attrs.get("latency_ms"))

    def run(self, trial: Trial, objective: Objective) -> None:
        """Measure a trial's architecture, unless it is known already, or is none, or over budget by the tables."""
        architecture = self._architecture(trial.params)
        if not self._space.joins(architecture):
            trial.set_constraint("joins", 1.0)
            self._refuse(trial, architecture)
            return
        choice = self._price(architecture)
        if not self._counted.admits(choice.cost):
            self._constrain(trial, choice.cost, self._counted)
            self._refuse(trial, architecture)
            return
        known = self.measured.get(architecture)
        if known is not None and known.val_loss is not None:
            measurement = Measurement(known.val_loss, known.measured_latency_ms)
        else:
            measurement = objective(architecture)
        val_loss = math.inf if math.isnan(measurement.val_loss) else measurement.val_loss
        trial.set_user_attr("latency_ms", measurement.latency_ms)
        self._constrain(trial, replace(choice.cost, latency_ms=measurement.latency_ms), self._budget)
        self._study.tell(trial, val_loss)
        self._remember(architecture, val_loss, measurement.latency_ms)

    def _refuse(self, trial: Trial, architecture: Architecture) -> None:
        self._study.tell(trial, state=TrialState.PRUNED)
        self._remember(architecture, None, None)

    def _architecture(self, params: dict[str, str]) -> Architecture:
        return Architecture(tuple(b.parse_path(params[_name(b.block_id)]) for b in self._space.blocks))

    def _constrain(self, trial: Trial, cost: Cost, budget: Budget) -> None:
        """Tell Optuna by how much each limit is missed, as a share of it; 0 and below is feasible."""
        for name, limit in budget.limits.items():
            trial.set_constraint(name, (cost_value(cost, name) - budget.ceiling(name)) / limit)

    def _remember(self, architecture: Architecture, val_loss: float | None, latency_ms: float | None) -> None:
        self.num_finished += 1
        self.proposed.add(architecture)
        if val_loss is not None:
            measured = replace(self._price(architecture), val_loss=val_loss, measured_latency_ms=latency_ms)
            self.measured.setdefault(architecture, measured)


def _choices(
    space: SearchSpace, seeds: Sequence[Choice], contenders: Sequence[Sequence[str]]
) -> dict[str, CategoricalDistribution]:
    """A categorical for each block: the keys of its contenders and of the seeds' paths, in the order of ``paths()``."""
    choices = {}
    for block, keys in zip(space.blocks, contenders, strict=True):
        wanted = {*keys, *(seed.architecture.paths[block.block_id].key for seed in seeds)}
        choices[_name(block.block_id)] = CategoricalDistribution([p.key for p in block.paths() if p.key in wanted])
    return choices


def _fingerprint(
    space: SearchSpace, choices: dict[str, CategoricalDistribution], seeds: Sequence[Choice], budget: Budget, seed: int
) -> str:
    """What makes two searches the same: everything but the objective, which whoever names the journal answers for."""
    text = repr((space.digest, choices, list(seeds), budget, seed))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _name(block_id: int) -> str:
    return f"block_{block_id}"


def _params(architecture: Architecture) -> dict[str, str]:
    return {_name(path.block_id): path.key for path in architecture.paths}
