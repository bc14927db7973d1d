import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows.processes import Processes, environment
from tests.conftest import ROOT
from tests.waiting import until

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_dead(pid: int) -> None:
    until(lambda: not is_alive(pid), 8)


def test_the_end_of_the_block_ends_children_and_grandchildren(tmp_path: Path) -> None:
    with Processes() as processes:
        lines = processes.lines([sys.executable, "-c", PARENT], tmp_path)
        grandchild = int(next(lines))
        assert is_alive(grandchild)
    wait_until_dead(grandchild)
    with pytest.raises(subprocess.CalledProcessError):
        next(lines)


def test_what_ends_at_once_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.processes.GRACE_S", 3600)  # who waited for all of it would not come back
    processes = Processes()
    process = processes.start(["sleep", "600"], tmp_path, subprocess.DEVNULL)
    processes.stop()
    assert process.returncode == -signal.SIGTERM


def test_a_reader_in_another_thread_is_released_when_everything_stops(tmp_path: Path) -> None:
    processes, reading, codes = Processes(), threading.Event(), []
    command = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"]

    def read() -> None:
        try:
            for _ in processes.lines(command, tmp_path):
                reading.set()
        except subprocess.CalledProcessError as error:
            codes.append(error.returncode)

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(timeout=60)
    processes.stop()
    thread.join(timeout=10)
    assert codes == [-15]
    with pytest.raises(RuntimeError, match="after everything had been stopped"):
        processes.start(["true"], tmp_path, subprocess.DEVNULL)


def test_a_flow_that_is_killed_outright_takes_its_stages_along(tmp_path: Path) -> None:
    script = f"""
import subprocess, sys
from pathlib import Path
from flows.processes import Processes
for line in Processes().lines([sys.executable, "-c", {PARENT!r}], Path()):
    print(line, flush=True)
"""
    flow = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert flow.stdout is not None
    grandchild = int(flow.stdout.readline())
    assert is_alive(grandchild)
    flow.kill()
    flow.communicate()
    wait_until_dead(grandchild)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.processes.GRACE_S", 0.3)
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    processes = Processes()
    child = processes.start([sys.executable, "-c", script], tmp_path, subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        processes.stop()
    assert child.returncode == -9


def test_children_find_this_python_first_and_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment()["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert environment()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert environment()["OMP_NUM_THREADS"] == "2"
