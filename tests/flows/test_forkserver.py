"""A flow's fork server: there while the flow runs its stages, gone with it, and left out where nobody wants it."""

import sys
import time
from pathlib import Path

import pytest

from flows.forkserver import LOG, forkserver
from flows.processes import Processes
from helixnas.forkserver import ADDRESS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a flow starts a fork server on Linux alone")

CLIENT = """
import os, sys
from helixnas.forkserver import ADDRESS, ask

sys.argv[:] = ["helixnas", "--help"]
print("exit code", ask(os.environ[ADDRESS]))
"""


def test_a_stage_of_a_flow_is_run_by_its_server(tmp_path: Path) -> None:
    with Processes() as processes, forkserver(processes, tmp_path, is_wanted=True):
        folder = Path(processes.settings[ADDRESS]).parent
        while not Path(processes.settings[ADDRESS]).exists():  # the test's own end, if the server never comes
            assert not (tmp_path / LOG).read_text()
            time.sleep(0.05)
        said = list(processes.lines([sys.executable, "-c", CLIENT], tmp_path))
    assert any("Usage: helixnas" in line for line in said)
    assert said[-1] == "exit code 0"
    assert (tmp_path / LOG).read_text() == ""
    assert not folder.exists()


def test_none_is_started_for_nothing(tmp_path: Path) -> None:
    with Processes() as processes, forkserver(processes, tmp_path, is_wanted=False):
        assert processes.settings == {}
    assert not (tmp_path / LOG).exists()


def test_the_user_may_leave_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, "")
    with Processes() as processes, forkserver(processes, tmp_path, is_wanted=True):
        assert processes.settings == {}
