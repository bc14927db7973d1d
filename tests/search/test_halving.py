"""Successive halving on made-up trainings: the best third goes on, and a kill changes nothing."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from helixnas.progress import silent
from helixnas.results import Budget, Cost
from helixnas.search import Ledger, Measurement, Rung, decide, halve, num_epochs
from helixnas.search_space import Architecture

from .conftest import Instance, make_instance

IMAGES = np.linspace(0.5, 1.5, 20)
"""How hard each image is; the mean is 1."""
BUDGET = Budget(madds=60)


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=2, num_blocks=4, num_paths=8, is_coarse=False)


class Bench:
    """Keeps what it was asked; a training halves a loss of the arch_id's own with each epoch."""

    def __init__(self, worst: Architecture | None = None, broken: Architecture | None = None) -> None:
        self.asked: list[tuple[Architecture, int]] = []
        self._worst, self._broken = worst, broken

    def loss(self, architecture: Architecture, epochs: int) -> float:
        own = np.random.default_rng(list(architecture.arch_id.encode())).uniform(1, 2)
        own = 5.0 if architecture == self._worst else own
        return float("nan") if architecture == self._broken else float(own * 2.0**-epochs)

    def __call__(self, some: Sequence[Architecture], epochs: int) -> list[Measurement]:
        self.asked += [(each, epochs) for each in some]
        return [Measurement(self.loss(each, epochs) * IMAGES, Cost(latency_ms=2.0)) for each in some]


def candidates(instance: Instance, num_students: int) -> list[Architecture]:
    return [choice.architecture for choice in instance.solve(BUDGET, num_students).best]


def halved(
    instance: Instance,
    journal: Path,
    bench: Bench,
    some: Sequence[Architecture],
    rungs: Sequence[int] = (1, 3, 9),
) -> list[Rung]:
    return halve(some, rungs, Ledger(journal, instance.price, some[0], bench), silent)


def on(rung: Rung) -> set[Architecture]:
    return {student.architecture for student in rung.students}


def test_the_best_third_goes_on_from_rung_to_rung(instance: Instance, tmp_path: Path) -> None:
    some, bench = candidates(instance, 20), Bench()
    rungs = halved(instance, tmp_path / "journal", bench, some)
    assert [rung.epochs for rung in rungs] == [1, 3, 9]
    ranked = sorted(some, key=lambda each: bench.loss(each, 0))
    assert [on(rung) for rung in rungs] == [set(some), {some[0], *ranked[:6]}, {some[0], *ranked[:2]}]
    assert all(s.val_loss == pytest.approx(bench.loss(s.architecture, r.epochs)) for r in rungs for s in r.students)
    assert len(set(bench.asked)) == len(bench.asked)  # none is trained twice


def test_who_goes_on_does_not_depend_on_the_order_of_training(instance: Instance, tmp_path: Path) -> None:
    some = candidates(instance, 4)
    wanted = [on(rung) for rung in halved(instance, tmp_path / "first", Bench(), some, (2, 4))]
    assert [len(each) for each in wanted] in ([4, 2], [4, 3])
    for index, others in enumerate(permutations(some[1:])):
        rungs = halved(instance, tmp_path / str(index), Bench(), [some[0], *others], (2, 4))
        assert [on(rung) for rung in rungs] == wanted


def test_the_optimum_is_trained_to_the_end_though_it_is_the_worst(instance: Instance, tmp_path: Path) -> None:
    some = candidates(instance, 9)
    rungs = halved(instance, tmp_path / "journal", Bench(worst=some[0]), some)
    assert [len(rung.students) for rung in rungs] == [9, 4, 2]
    assert all(rung.students[0].architecture == some[0] for rung in rungs)
    exact = instance.solve(BUDGET, 9)
    result = decide(exact, rungs[0].students, BUDGET, rungs[-1])
    assert (result.chosen_by, result.chosen) == ("halving", rungs[-1].students[1])
    assert result.reason.endswith("These losses are of students that were trained for 9 epochs.")
    assert result.chosen.measured == Cost(latency_ms=2.0)


def test_students_are_compared_with_the_optimum_of_the_same_rung(instance: Instance, tmp_path: Path) -> None:
    some, bench = candidates(instance, 9), Bench()
    for rung in halved(instance, tmp_path / "journal", bench, some):
        for student in rung.students:
            differences = (bench.loss(some[0], rung.epochs) - bench.loss(student.architecture, rung.epochs)) * IMAGES
            assert student.lead is not None
            assert student.lead.mean == pytest.approx(differences.mean())
            assert student.lead.standard_error == pytest.approx(differences.std(ddof=1) / np.sqrt(20))


def test_a_training_that_fails_never_goes_on(instance: Instance, tmp_path: Path) -> None:
    some = candidates(instance, 6)
    broken = min(some[1:], key=lambda each: Bench().loss(each, 0))
    rungs = halved(instance, tmp_path / "journal", Bench(broken=broken), some)
    told = {student.architecture: student for student in rungs[0].students}[broken]
    assert (told.val_loss, told.lead) == (float("inf"), None)
    assert all(broken not in on(rung) for rung in rungs[1:])


@pytest.mark.parametrize(("num_students", "rungs"), [(1, [1]), (2, [1, 3]), (9, [1, 3, 9]), (24, [2, 4, 8]), (5, [4])])
def test_the_epochs_that_a_plan_counts_are_the_most_that_are_trained(
    instance: Instance, tmp_path: Path, num_students: int, rungs: list[int]
) -> None:
    some = candidates(instance, num_students)
    bench = Bench(worst=some[0])
    halved(instance, tmp_path / "journal", bench, some, rungs)
    assert sum(epochs for _, epochs in bench.asked) == num_epochs(num_students, rungs)
    assert num_epochs(0, rungs) == 0


def test_a_damaged_journal_is_trained_from_the_damage_on(instance: Instance, tmp_path: Path) -> None:
    some, journal = candidates(instance, 6), tmp_path / "journal"
    whole = halved(instance, journal, Bench(), some)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-3]) + lines[-3][:40])
    rest = Bench()
    assert halved(instance, journal, rest, some) == whole
    assert 1 <= len(rest.asked) <= 3


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.search.conftest import make_instance
    from tests.search.test_halving import Bench, candidates, halved

    class Killed(Bench):
        def __call__(self, some, epochs):
            if len(self.asked) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(some, epochs)

    instance = make_instance(seed=2, num_blocks=4, num_paths=8, is_coarse=False)
    halved(instance, Path(sys.argv[1]), Killed(), candidates(instance, 9))
"""


def test_a_halving_killed_outright_again_and_again_ends_the_same(instance: Instance, tmp_path: Path) -> None:
    for num_before in (4, 7):  # in the first rung, then, with the first run's four known, in the second
        script = [sys.executable, "-c", textwrap.dedent(KILLED), "journal", str(num_before)]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
        killed = subprocess.run(
            script, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, check=False, capture_output=True
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    some, whole, rest = candidates(instance, 9), Bench(), Bench()
    assert halved(instance, tmp_path / "journal", rest, some) == halved(instance, tmp_path / "whole", whole, some)
    assert len(rest.asked) == len(whole.asked) - 11
