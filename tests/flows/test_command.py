"""``python -m flows`` as a person meets it: exit codes, one message, and nothing done where nothing is to do."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.door import AUTH
from flows.processes import environment
from flows.promote import promote
from flows.run_stage import FAULT
from flows.servers import API_URL
from helixnas import artifacts
from helixnas.results import Budget, Figure, Figures, Retraining, figures_to_json
from tests.conftest import ROOT
from tests.costs import three
from tests.flows.conftest import run_counts, run_dvc

pytestmark = pytest.mark.flow


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=project,
        env=environment({"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **variables}),
        capture_output=True,
        text=True,
        check=False,
    )


def save_figures(project: Path) -> None:
    figure = Figure("teacher", 0.9, three(1000, 100, 1.0))
    figures = Figures(
        "0:0", figure, figure, figure, Budget(madds=1000), 10, {"cpu": "any"}, Retraining("retrained", 0.5, 0.75)
    )
    artifacts.save_json(project / "artifacts/report/figures.json", "figures", figures_to_json(figures))


def test_a_misspelt_key_ends_with_one_message_before_anything_starts(project: Path) -> None:
    done = run(project, "--set", "distil.lr=1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "distil" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["search.budget.madds=1000"], "error: No architecture fits budget madds <= 1"),
        (["search_space.operations=[absent.file:op]"], "absent"),
        (
            ["teacher.blocks=9", "teacher.block_ids=[0,1,2,3,4,5,6,7,8]", "teacher.model_args={layers:[1,1,1,1]}"],
            "9 blocks",
        ),
    ],
)
def test_a_run_that_cannot_work_ends_before_its_first_stage(
    project: Path, prefect_api: str, overrides: list[str], said: str
) -> None:
    settings = [part for override in overrides for part in ("--set", override)]
    done = run(project, "--no-register", *settings, **{API_URL: prefect_api})
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "runs").exists()


def test_where_nothing_changed_the_table_is_shown_again_without_prefect(project: Path) -> None:
    run_dvc(project, "repro")
    save_figures(project)
    done = run(project, "--no-register", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Nothing to do: every stage is up to date.")
    assert "90.00 %" in done.stdout
    assert "report   artifacts/report/report.html" in done.stdout
    assert "import time:" in done.stderr
    assert not re.search(r"\| +prefect\b", done.stderr)


def test_a_broken_stage_ends_with_1_and_names_its_log(
    project: Path, trouble: Callable[[str, str], None], prefect_api: str
) -> None:
    trouble("data", "raise")
    done = run(project, "--no-register", **{API_URL: prefect_api})
    assert done.returncode == 1
    assert "error: data failed: RuntimeError: boom\nIts output is in .cache/logs/data.log.\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_ends_well_prints_its_table_and_shows_progress_meanwhile(project: Path, prefect_api: str) -> None:
    save_figures(project)
    done = run(project, "--no-register", "--set", "distill.lr=0.003", **{API_URL: prefect_api})
    assert done.returncode == 0, done.stderr
    assert "arch_id  0:0" in done.stdout
    assert "Prefect's server is up after" in done.stderr
    assert set(run_counts(project).values()) == {1}


def test_a_server_that_does_not_answer_is_named(project: Path) -> None:
    done = run(project, "--no-register", **{API_URL: "http://127.0.0.1:9/api"})
    assert done.returncode == 2
    assert "error: Prefect's server must answer" in done.stderr
    assert "unset PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_promotion_without_a_run_fails_with_what_to_do(project: Path, prefect_api: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_API_AUTH_STRING: os.environ[AUTH]}):
        state = promote(return_state=True)
    assert state.name == FAULT
    assert "Run `dvc repro`" in state.message
