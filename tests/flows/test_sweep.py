"""What a flow leaves that is killed together with its guard, the next one ends and removes; and nothing else."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.processes import Processes
from flows.sweep import record, sweep
from helixnas.scratch import process_id, scratch
from tests.conftest import ROOT
from tests.flows.test_processes import is_alive, wait_until_dead
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who is alive")

FLOW = """
import subprocess, time
from pathlib import Path
from flows.processes import Processes
processes = Processes()
print(processes.folder(), processes.start(["sleep", "600"], Path(), subprocess.DEVNULL).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own, for its children too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def dead_process() -> str:
    """The identity of a process that has been."""
    process = subprocess.Popen(["sleep", "600"])
    known = process_id(process.pid)
    process.kill()
    process.wait()
    return known


def start_flow() -> tuple[subprocess.Popen[str], Path, int]:
    flow = subprocess.Popen([sys.executable, "-c", FLOW], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert flow.stdout is not None
    with flow.stdout:
        folder, child = flow.stdout.readline().split()
    return flow, Path(folder), int(child)


def guard_of(flow: int) -> psutil.Process:
    """The guard of a flow, as soon as the fork has become one."""

    def guards() -> list[psutil.Process]:
        alive = [child for child in psutil.Process(flow).children() if is_alive(child.pid)]
        return [child for child in alive if "guard.py" in " ".join(child.cmdline())]

    return until(guards)[0]


def test_a_killed_flow_leaves_nothing(temporary: Path) -> None:
    flow, folder, child = start_flow()
    assert folder.parent == temporary
    guard = guard_of(flow.pid)
    flow.kill()
    flow.wait()
    wait_until_dead(child)
    wait_until_dead(guard.pid)
    assert not folder.exists()


def test_what_a_flow_leaves_that_is_killed_with_its_guard_is_swept_by_the_next(temporary: Path) -> None:
    flow, folder, child = start_flow()
    guard_of(flow.pid).kill()
    flow.kill()
    flow.wait()
    assert is_alive(child)
    with Processes() as processes:
        processes.folder()
        assert not is_alive(child)
        assert not folder.exists()


def test_a_guard_that_is_killed_is_replaced(temporary: Path) -> None:
    with Processes() as processes:
        first = processes.start(["sleep", "600"], temporary, subprocess.DEVNULL)
        killed = processes._guard  # other tests may have guards in this process, too
        assert killed is not None
        killed.kill()
        wait_until_dead(killed.pid)
        processes.start(["sleep", "600"], temporary, subprocess.DEVNULL)
        assert first.poll() is None
        assert processes._guard is not None and processes._guard.pid != killed.pid


def test_what_lives_or_may_be_of_somebody_else_stays(temporary: Path, sleeper: int) -> None:
    gone = dead_process()
    namespace, pid, ticks = gone.split("-")
    kept = [
        f"helixnas-{process_id()}-alive",
        f"helixnas-{int(namespace) + 1}-{pid}-{ticks}-container",
        "helixnas-notes",
        f"mine-{gone}-x",
    ]
    for name in kept:
        (temporary / name).mkdir()
    (temporary / f"helixnas-{gone}-link").symlink_to(temporary / "helixnas-notes")
    swept = temporary / f"helixnas-{gone}-x"
    swept.mkdir()
    (swept / "groups").write_text(f"{process_id(sleeper)}0\nx-y\n-1\n\x00")  # another start: the PID was given anew
    sweep()
    assert is_alive(sleeper)
    assert {path.name for path in temporary.iterdir()} == {*kept, f"helixnas-{gone}-link"}


def test_a_process_that_the_file_of_groups_names_rightly_is_ended(temporary: Path) -> None:
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    folder = temporary / f"helixnas-{dead_process()}-x"
    folder.mkdir()
    record(folder, [left.pid])
    sweep()
    assert left.wait() == -15


def test_a_scratch_folder_goes_with_its_block(temporary: Path) -> None:
    with scratch() as folder:
        sweep()
        assert list(temporary.iterdir()) == [folder]
    assert list(temporary.iterdir()) == []
