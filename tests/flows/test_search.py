"""The flow on the small project, against a real server: who runs what, and what one failure costs."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import flow
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from rich.console import Console
from zc.lockfile import LockFile

from flows.door import AUTH
from flows.graph import read_changed
from flows.processes import Processes
from flows.run_stage import BROKEN, FAULT, run_stage
from flows.search import search
from flows.watch import Watch
from tests.flows.conftest import STAGES, run_counts, run_dvc
from tests.waiting import until

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

STEPS = {stage.replace("@", "_") for stage in STAGES}


@pytest.fixture(autouse=True)
def server(prefect_api: str) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_API_AUTH_STRING: os.environ[AUTH]}):
        yield


def run(overrides: list[str] | None = None) -> Any:
    return search(overrides, register_student=False, return_state=True)


def test_after_the_flow_dvc_has_nothing_to_do_and_nor_has_the_flow(project: Path) -> None:
    assert run().is_completed()
    assert read_changed(project) == set()
    assert run().is_completed()
    assert run_counts(project) == dict.fromkeys(STEPS, 1)


def test_after_dvc_repro_the_flow_has_nothing_to_do_and_both_give_the_same_lock(
    project: Path, fresh_project: Path
) -> None:
    assert run().is_completed()
    parallel = yaml.safe_load((project / "dvc.lock").read_text())
    (project / "dvc.lock").unlink()
    run_dvc(project, "repro", "--force")
    assert yaml.safe_load((project / "dvc.lock").read_text()) == parallel
    counts = run_counts(project)
    assert run().is_completed()
    assert run_counts(project) == counts


def test_a_fork_server_is_launched_for_stages_that_have_something_to_do_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Path] = []
    monkeypatch.setattr("helixnas.forkserver.launch", lambda *arguments: launched.append(arguments[-1]) or {})
    assert run().is_completed()
    assert run().is_completed()
    assert launched == [project]


def test_an_override_reruns_what_depends_on_it(project: Path) -> None:
    assert run().is_completed()
    assert run(["distill.lr=0.003"]).is_completed()
    assert "lr: 0.003" in (project / "params.yaml").read_text()
    assert run_counts(project) == {"data": 1, "distill_0": 2, "distill_1": 2, "distill_2": 2, "search": 1}


def test_one_failed_block_spares_the_others_and_stops_what_follows(
    project: Path, trouble: Callable[[str, str], None]
) -> None:
    trouble("distill_1", "lr must be lower. Lower it.")
    state = run()
    assert (state.name, state.message) == (FAULT, "distill@1: lr must be lower. Lower it.")
    assert run_counts(project) == dict.fromkeys(STEPS - {"search"}, 1)
    assert read_changed(project) == {"distill@1", "search"}
    (project / "trouble" / "distill_1").unlink()
    assert run().is_completed()
    assert run_counts(project) == dict.fromkeys(STEPS, 1) | {"distill_1": 2}


def test_a_broken_block_names_its_log_and_is_not_tried_again(
    project: Path, trouble: Callable[[str, str], None]
) -> None:
    trouble("distill_0", "raise")
    trouble("distill_2", "no.")
    state = run()
    assert state.name == BROKEN
    assert "distill@0 failed: RuntimeError: boom\nIts output is in .cache/logs/distill@0.log." in state.message
    assert "distill@2: no." in state.message
    assert run_counts(project)["distill_0"] == 1


def test_a_held_lock_is_waited_for(project: Path) -> None:
    lock = LockFile(str(project / ".dvc/tmp/lock"))
    log = project / ".cache/logs/data.log"

    def release() -> None:
        until(lambda: log.exists() and "Unable to acquire lock" in log.read_text())
        lock.close()

    @flow(persist_result=False)
    def one_stage() -> str:
        watch = Watch(project, {"data": []}, {"data": 1.0}, 1, Console(quiet=True))
        with Processes() as processes:
            outcome: str = run_stage("data", project, processes, watch)
        return outcome

    threading.Thread(target=release, daemon=True).start()
    assert one_stage() == "ran"


def test_a_misspelt_key_ends_the_flow_with_one_message(project: Path) -> None:
    state = run(["distil.lr=0.1"])
    assert state.name == FAULT
    assert "distil" in state.message
    assert not (project / "runs").exists()
