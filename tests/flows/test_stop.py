"""Ctrl-C and SIGTERM, as a terminal and a service manager send them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.processes import environment
from flows.servers import API_URL
from tests.conftest import ROOT

pytestmark = pytest.mark.flow


def wait_for(condition: Callable[[], object], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_run_leaves_no_process_behind(
    project: Path, trouble: Callable[[str, str], None], number: signal.Signals, tmp_path: Path
) -> None:
    trouble("distill_0", "sleep")
    trouble("distill_1", "sleep")
    variables = environment({"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path / "prefect")})
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
    wait_for(lambda: (runs / "distill_0").exists() and (runs / "distill_1").exists(), 120)
    family = psutil.Process(run.pid).children(recursive=True)
    assert sum("step.py" in " ".join(process.cmdline()) for process in family) >= 2
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # a terminal sends it to the whole foreground group
    else:
        run.send_signal(number)
    _, said = run.communicate(timeout=40)
    assert run.returncode == 130
    assert "Stopped. What was finished is kept" in said
    assert "Traceback" not in said
    wait_for(lambda: not any(process.is_running() for process in family), 5)
    assert not (runs / "distill_2").exists()
    assert not (runs / "search").exists()
