"""Ctrl-C and SIGTERM, as a terminal and a service manager send them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.processes import environment
from flows.servers import API_URL
from tests.conftest import ROOT
from tests.waiting import until

pytestmark = pytest.mark.flow


Run = tuple[subprocess.Popen[str], list[psutil.Process]]


@pytest.fixture
def run_at_work(project: Path, trouble: Callable[[str, str], None], tmp_path: Path) -> Run:
    """A run with a server of its own, two of whose stages are at work and will not end; and all that it started."""
    trouble("distill_0", "sleep")
    trouble("distill_1", "sleep")
    variables = environment({"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PREFECT_HOME": str(tmp_path / "prefect")})
    variables.pop(API_URL, None)
    run = subprocess.Popen(
        [sys.executable, "-m", "flows", "--no-register"],
        cwd=project,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    runs = project / "runs"
    until(lambda: (runs / "distill_0").exists() and (runs / "distill_1").exists(), 120)
    family = psutil.Process(run.pid).children(recursive=True)
    assert sum("step.py" in " ".join(process.cmdline()) for process in family) >= 2
    return run, family


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_run_leaves_no_process_behind(project: Path, run_at_work: Run, number: signal.Signals) -> None:
    run, family = run_at_work
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # a terminal sends it to the whole foreground group
    else:
        run.send_signal(number)
    _, said = run.communicate(timeout=40)
    assert run.returncode == 130
    assert "Stopped. What was finished is kept" in said
    assert "Traceback" not in said
    until(lambda: not any(process.is_running() for process in family), 5)
    assert not (project / "runs" / "distill_2").exists()
    assert not (project / "runs" / "search").exists()


def test_a_run_whose_server_dies_ends_with_one_message_and_without_children(run_at_work: Run) -> None:
    run, family = run_at_work
    (server,) = [process for process in family if "flows.door" in process.cmdline()]
    server.kill()
    _, said = run.communicate(timeout=30)
    assert run.returncode == 2
    assert said.count("error: ") == 1
    assert "error: Prefect's server must answer while a flow runs, but nobody listens at 127.0.0.1:" in said
    assert "Traceback" not in said
    until(lambda: not any(process.is_running() for process in family), 5)
