"""Run Optuna over architectures that are really measured, seeded with the exact search's best, resumable to the bit."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import Trial, TrialState

from helixnas.cost_kinds import counted
from helixnas.progress import Progress
from helixnas.results import UNMEASURED, Budget, Choice, Cost, Lead
from helixnas.search.journal import open_study
from helixnas.search.options import cost_value
from helixnas.search.price import Pricer
from helixnas.search_space import Architecture, SearchSpace

_PATIENCE = 4
"""Proposals for each architecture to measure: repeated proposals and those over budget cost next to nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measurements of one assembled architecture.

    Attributes:
        losses: The loss of each image of the rating part, float64 [n].
        cost: The limited kinds that are measured, of the whole network.
    """

    losses: NDArray[np.float64]
    cost: Cost = UNMEASURED


Objective = Callable[[Architecture], Measurement]
"""Function that assembles an architecture and measures it."""


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

    A proposal picks a path in each block: a path of the block's frontier, which no other path of the block beats in
    rating and in every cost that counts, or a path that ``seeds`` use. An additive prediction never needs another
    path, so some tens of paths remain in a block instead of all. The seeds themselves are proposed first.

    The objective is val_loss. Every limit is a constraint. Counted costs are exact in the tables, so an architecture
    over these limits is recorded as infeasible and not measured. Measured costs, such as latency_ms, count as measured
    on the whole network, since the tables only estimate them. A val_loss that is not finite counts as infinite. For
    each trial, the journal keeps the mean of its losses, its measured costs, and its lead over the first seed, the
    tables' optimum, on the same images. Nothing is measured twice, except the first seed, once more, where a
    search goes on after a kill.

    After a kill, the same call goes on to the same end: the n-th proposal depends on ``seed``, n and the trials
    finished before it, and on nothing else.

    Args:
        space: The search space.
        seeds: Architectures to propose first, the tables' optimum at the front.
        price: Looks up costs and predictions in the tables.
        objective: Measures an architecture.
        budget: The limits.
        num_trials: The most architectures to measure.
        seed: Of the proposals.
        journal: Optuna's file, for this search alone.
        progress: Told the number of measured architectures.
    """
    choices = _choices(space, seeds, price.contenders(budget))
    study = open_study(journal, _fingerprint(space, choices, seeds, budget, seed))
    trials = _Trials(study, space, price, budget, seeds[0].architecture)
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
    """The finished trials of a study, as architectures: all that were proposed, and all that were measured."""

    def __init__(
        self, study: optuna.Study, space: SearchSpace, price: Pricer, budget: Budget, reference: Architecture
    ) -> None:
        self._study, self._space, self._price, self._budget = study, space, price, budget
        self._counted = budget.only(counted(budget))
        self._reference = reference
        self._reference_losses: NDArray[np.float64] | None = None
        self.num_finished = 0
        self.proposed: set[Architecture] = set()
        self.measured: dict[Architecture, Choice] = {}
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            architecture = self._architecture(trial.params)
            self._count(architecture)
            if trial.value is not None:
                cost, lead = Cost(trial.user_attrs["measured"]), trial.user_attrs["lead"]
                self._remember(architecture, trial.value, cost, lead and Lead(**lead))

    def run(self, trial: Trial, objective: Objective) -> None:
        """Measure a trial's architecture unless it is known, has no joining widths, or is over budget."""
        architecture = self._architecture(trial.params)
        self._count(architecture)
        if not self._space.joins(architecture):
            trial.set_constraint("joins", 1.0)
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        cost = self._price(architecture).cost
        if not self._counted.admits(cost):
            self._constrain(trial, cost, self._counted)
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        if architecture not in self.measured:
            self._measure(architecture, objective)
        known = self.measured[architecture]
        trial.set_user_attr("measured", dict(known.measured))
        trial.set_user_attr("lead", known.lead and asdict(known.lead))
        self._constrain(trial, cost | known.measured, self._budget)
        self._study.tell(trial, known.val_loss)

    def _measure(self, architecture: Architecture, objective: Objective) -> None:
        """Measure an architecture, and before the first comparison the reference, where this process has not yet."""
        measurement = objective(architecture)
        if architecture == self._reference:
            self._reference_losses = measurement.losses
        elif self._reference_losses is None:
            self._reference_losses = objective(self._reference).losses
        val_loss = float(measurement.losses.mean())
        lead = lead_over(self._reference_losses, measurement.losses)
        self._remember(architecture, val_loss if math.isfinite(val_loss) else math.inf, measurement.cost, lead)

    def _count(self, architecture: Architecture) -> None:
        self.num_finished += 1
        self.proposed.add(architecture)

    def _remember(self, architecture: Architecture, val_loss: float, cost: Cost, lead: Lead | None) -> None:
        measured = replace(self._price(architecture), val_loss=val_loss, measured=cost, lead=lead)
        self.measured.setdefault(architecture, measured)

    def _architecture(self, params: dict[str, str]) -> Architecture:
        return Architecture(tuple(b.parse_path(params[_name(b.block_id)]) for b in self._space.blocks))

    def _constrain(self, trial: Trial, cost: Cost, budget: Budget) -> None:
        """Tell Optuna by how much each limit is missed, as a share of the limit; 0 and below is feasible."""
        for name, limit in budget.items():
            trial.set_constraint(name, (cost_value(cost, name) - budget.ceiling(name)) / limit)


def lead_over(reference: NDArray[np.float64], losses: NDArray[np.float64]) -> Lead | None:
    """Return how much lower ``losses`` [n] are than those of the reference; None where they are not finite."""
    if not np.isfinite(losses).all():
        return None
    if not np.isfinite(reference).all():
        return Lead(math.inf, 0.0, len(losses))
    difference = reference - losses
    standard_error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    return Lead(float(difference.mean()), standard_error, len(difference))


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
    """A digest of all that a search depends on, except the objective, for which the caller names the journal."""
    text = repr((space.digest, choices, list(seeds), budget, seed))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _name(block_id: int) -> str:
    return f"block_{block_id}"


def _params(architecture: Architecture) -> dict[str, str]:
    return {_name(path.block_id): path.key for path in architecture.paths}
