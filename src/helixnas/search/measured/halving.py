"""Train the best students briefly, the better of them longer: successive halving.

The source is Jamieson and Talwalkar (AISTATS 2016, arXiv 1502.07943).
Optuna's ``SuccessiveHalvingPruner`` decides who goes on. By itself the pruner is asynchronous: it compares a trial with
those that came before, so the first one always goes on. Here all students of a rung are trained first. Then they are
reported from the worst to the best, and ``bootstrap_count`` is the number that must go; so exactly the best share
goes on, in whatever order the students were trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import Trial, TrialState

from helixnas.progress import Progress
from helixnas.results import Choice
from helixnas.search.measured.ledger import Ledger
from helixnas.search_space import Architecture


@dataclass(frozen=True, slots=True)
class Rung:
    """The students that were trained for so many epochs, with the losses that they had then."""

    epochs: int
    students: tuple[Choice, ...]


def halve(candidates: Sequence[Architecture], rungs: Sequence[int], ledger: Ledger, progress: Progress) -> list[Rung]:
    """Train all candidates for the epochs of the first rung, the best of them for those of the next, and so on.

    Each training starts from the distilled blocks and runs its schedule to the end, so that every intermediate value is
    that of a student which has learnt what so many epochs can teach. The first candidate is the reference of all
    comparisons: it is trained on every rung, also where the pruner takes it out of the race.

    Args:
        candidates: Distinct architectures, the tables' optimum first.
        rungs: Epochs, each the same multiple of the one before.
        ledger: Knows which trainings have ended, and trains the rest.
        progress: Told the epochs of ended trainings, of all that are to come.

    Returns:
        A Rung for each of ``rungs``.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    racing = {architecture: study.ask() for architecture in candidates}
    factor = rungs[1] // rungs[0] if len(rungs) > 1 else 2
    total, done, told = num_epochs(len(candidates), rungs), 0, list[Rung]()
    for epochs in rungs:
        for architecture in dict.fromkeys([candidates[0], *racing]):
            progress(done, total)
            ledger([architecture], epochs)
            done += epochs
        trained = ledger(list(dict.fromkeys([candidates[0], *racing])), epochs)
        told.append(Rung(epochs, tuple(trained)))
        if epochs != rungs[-1]:
            num_pruned = len(racing) - num_promoted(len(racing), factor)
            study.pruner = SuccessiveHalvingPruner(rungs[0], factor, bootstrap_count=num_pruned)
            racing = _promoted(study, racing, trained, epochs)
    progress(total, total)
    return told


def _promoted(
    study: optuna.Study, racing: dict[Architecture, Trial], trained: Sequence[Choice], epochs: int
) -> dict[Architecture, Trial]:
    """Report every value to Optuna, the worst first, and return those that its pruner lets go on, in their order."""
    stays = set[Architecture]()
    for choice in sorted(trained, key=lambda choice: choice.val_loss or 0.0, reverse=True):
        trial = racing.get(choice.architecture)
        if trial is None:  # the reference, out of the race
            continue
        assert choice.val_loss is not None
        trial.report(choice.val_loss, epochs)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
        else:
            stays.add(choice.architecture)
    return {architecture: trial for architecture, trial in racing.items() if architecture in stays}


def num_promoted(num_students: int, factor: int) -> int:
    """Return how many of a rung's students go on to the next."""
    return max(1, num_students // factor)


def num_epochs(num_students: int, rungs: Sequence[int]) -> int:
    """Return the most epochs that all trainings take together; the reference may run beside those that go on."""
    factor = rungs[1] // rungs[0] if len(rungs) > 1 else 2
    total, left = 0, num_students
    for index, epochs in enumerate(rungs):
        total += epochs * (left + (index > 0 and left < num_students))
        left = num_promoted(left, factor)
    return total if num_students else 0
