import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.processes import Processes
from flows.run_stage import BROKEN, FAULT, LOCKED, is_locked, repro
from tests.flows.conftest import run_counts

pytestmark = pytest.mark.flow


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def test_a_stage_runs_then_is_skipped_then_comes_from_the_cache(project: Path, processes: Processes) -> None:
    shown: list[str] = []
    assert repro("data", project, processes, shown.append) == "ran"
    assert repro("data", project, processes, print) == "skipped"
    shutil.rmtree(project / "artifacts")
    (project / "dvc.lock").unlink()
    assert repro("data", project, processes, print) == "cached"
    assert run_counts(project) == {"data": 1}
    assert any("Running stage 'data'" in line for line in shown)


def test_a_fault_is_told_in_the_stage_s_own_words(
    project: Path, processes: Processes, trouble: Callable[[str, str], None]
) -> None:
    trouble("data", "lr must be positive, but is -1.\nChange it.")
    state = repro("data", project, processes, print)
    assert not isinstance(state, str)
    assert state.name == FAULT
    assert state.message == "data: lr must be positive, but is -1.\nChange it."


def test_a_crash_is_told_with_its_last_line_and_its_log(
    project: Path, processes: Processes, trouble: Callable[[str, str], None]
) -> None:
    trouble("data", "raise")
    state = repro("data", project, processes, print)
    assert not isinstance(state, str)
    assert state.name == BROKEN
    assert state.message == "data failed: RuntimeError: boom\nIts output is in .cache/logs/data.log."
    assert "Traceback" in (project / ".cache/logs/data.log").read_text()


def test_a_held_lock_is_worth_another_try_and_a_fault_is_not(
    project: Path, processes: Processes, trouble: Callable[[str, str], None]
) -> None:
    from zc.lockfile import LockFile

    lock = LockFile(str(project / ".dvc/tmp/lock"))
    locked = repro("data", project, processes, print)
    lock.close()
    trouble("data", "no")
    fault = repro("data", project, processes, print)
    assert not isinstance(locked, str)
    assert not isinstance(fault, str)
    assert locked.name == LOCKED
    assert is_locked(None, None, locked)
    assert not is_locked(None, None, fault)
