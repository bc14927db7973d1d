"""The two promises of a run: it ends with what was asked for, and nothing is computed twice."""

import re
import shutil
from pathlib import Path

import pytest

from tests.pipeline.conftest import call, digests, make

pytestmark = [pytest.mark.slow, pytest.mark.flow]

UNREPEATABLE = {
    "artifacts/cost/measured",
    "artifacts/export",
    "artifacts/report/report.html",
    "artifacts/report/figures.json",
}
"""Outputs that hold a time measured on this machine."""


def test_a_run_ends_with_table_identity_model_and_report(first_run: tuple[Path, str]) -> None:
    root, printed = first_run
    for row in ("teacher", "student before retraining", "student"):
        assert re.search(rf"^{row} +\d+\.\d\d %.* ms", printed, re.MULTILINE), printed
    assert re.search(r"^arch_id +\d+:[\d.]+-\d+:[\d.]+-\d+:[\d.]+$", printed, re.MULTILINE)
    assert re.search(r"^model +helixnas-student, version 1 \(@challenger\)$", printed, re.MULTILINE)
    report = re.search(r"^report +(.+)$", printed, re.MULTILINE)
    assert report is not None
    assert (root / report[1]).read_text().startswith("<!doctype html>")


def test_a_second_run_does_nothing_and_says_so(finished: Path, first_run: tuple[Path, str]) -> None:
    before = (finished / "dvc.lock").read_bytes()
    shutil.copy(first_run[0] / "mlflow.db", finished)
    done = make(finished, "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Nothing to do")
    assert done.stdout.splitlines()[-4:] == first_run[1].splitlines()[-4:]
    assert (finished / "dvc.lock").read_bytes() == before


def test_a_new_budget_leaves_distill_and_rating_alone(finished: Path) -> None:
    before = digests(finished)
    done = call(finished, "python", "-m", "flows", "--no-register", "--set", "search.budget.madds=85%")
    assert done.returncode == 0, done.stderr
    logs = {log.stem: log.read_text() for log in (finished / ".cache/logs").glob("*.log") if log.stem != "prefect"}
    ran = {stage for stage, text in logs.items() if "Running stage" in text}
    assert ran == {"search", "retrain", "compare", "export", "report"}
    changed = {path for path, md5 in digests(finished).items() if md5 != before[path]}
    assert {path.split("/")[1] for path in changed} == {"search", "retrain", "compare", "export", "report"}


def test_dvc_alone_in_another_checkout_makes_the_same_bytes(
    clean_checkout: Path, first_run: tuple[Path, str], tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(clean_checkout, other)
    shutil.copy(first_run[0] / "params.yaml", other)
    done = call(other, "dvc", "repro")
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = digests(first_run[0]), digests(other)
    assert {path for path in ours | theirs if ours.get(path) != theirs.get(path)} <= UNREPEATABLE
    assert call(other, "dvc", "status", "--json").stdout.strip() == "{}"


def test_artifacts_travel_through_a_remote(finished: Path, clean_checkout: Path, tmp_path: Path) -> None:
    other, store = tmp_path / "elsewhere", tmp_path / "store"
    for command in (("remote", "add", "-d", "store", str(store)), ("push", "--quiet")):
        assert call(finished, "dvc", *command).returncode == 0
    shutil.copytree(clean_checkout, other)
    for name in ("params.yaml", "dvc.lock", ".dvc/config"):
        shutil.copy(finished / name, other / name)
    done = call(other, "dvc", "pull", "--quiet")
    assert done.returncode == 0, done.stderr
    assert call(other, "dvc", "status", "--json").stdout.strip() == "{}"
    student = Path("artifacts/retrain/student.safetensors")
    assert (other / student).read_bytes() == (finished / student).read_bytes()
