"""The search stage: what it measures beyond Optuna's trials, what it trains, and what it makes of the tables' order."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.parameters import change
from helixnas import artifacts
from helixnas.config import load
from helixnas.errors import DistrustError
from helixnas.handover import measuring
from helixnas.handover.setting import begin
from helixnas.handover.space import load_space
from helixnas.results import Budget, Trust, trust_from_json
from helixnas.stages import search

UNTIMED = ["search.budget.latency_ms=null", "search.measured=2", "search.trained=2", "search.rungs=[1,2]"]
"""All ways of measuring; without times all that the stage writes repeats to the bit."""


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """What the search needs, without a clock in it."""
    root = Path(shutil.copytree(finished, tmp_path / "project", ignore=shutil.ignore_patterns(".cache")))
    change(root, None, UNTIMED)
    return root


def run(root: Path, *overrides: str) -> dict[str, bytes]:
    """Run the stage with these parameters; the files that it writes."""
    change(root, None, list(overrides))
    shutil.rmtree(root / "artifacts/search", ignore_errors=True)
    with contextlib.chdir(root):
        search.run(load(root))
    return written(root)


def written(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "artifacts/search").iterdir()}


def trials(root: Path) -> pd.DataFrame:
    return artifacts.load_csv(root / "artifacts/search/trials.csv", "trials")


def trust(root: Path) -> Trust:
    return trust_from_json(artifacts.load_json(root / "artifacts/search/trust.json", "trust"))


def test_students_measured_together_have_the_losses_of_each_alone(project: Path) -> None:
    run(project, "search.num_trials=1", "search.measured=6", "search.trained=0")
    table = trials(project)
    assert len(set(table["arch_id"])) == 7
    config = load(project)
    with contextlib.chdir(project):
        setting = begin("search", config, 1)
        space = load_space(project, config)
        students = measuring.Students(setting, space, Budget())
        for row in table.itertuples():
            alone = students(space.parse(row.arch_id)).losses.mean()
            assert row.val_loss == pytest.approx(alone, rel=1e-5)
    (order,) = trust(project).orders
    assert (order.epochs, order.num_students) == (0, 7)


def test_without_the_new_keys_the_trials_are_optunas_alone(project: Path) -> None:
    names = {"result.json", "chosen.json", "frontier.csv", "trials.csv", "trust.json", "latency.json"}
    assert set(run(project, "search.measured=0", "search.trained=0")) == names
    table = trials(project)
    assert list(table) == ["arch_id", "predicted_loss", "madds", "num_params", "is_chosen", "val_loss"]
    assert len(table) == 2
    assert set(run(project, "search.num_trials=0")) == names
    assert trials(project).empty
    assert not trust(project).is_earned


class Fault(BaseException):
    """Power fails."""


def test_a_search_that_was_cut_off_in_a_training_ends_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(project)
    assert [column for column in trials(project) if "after" in column] == ["val_loss_after_1", "val_loss_after_2"]
    assert [order.epochs for order in trust(project).orders] == [0, 1]
    shutil.rmtree(project / ".cache/search")
    validate, num_epochs = measuring.Checkpoint.save, 0

    def fails(checkpoint: Any, state: Any) -> None:
        nonlocal num_epochs
        validate(checkpoint, state)
        num_epochs += 1
        if num_epochs == 3:  # in the second rung: a training of two epochs is half done
            raise Fault

    monkeypatch.setattr(measuring.Checkpoint, "save", fails)
    with pytest.raises(Fault):
        run(project)
    assert run(project) == whole
    assert num_epochs == 6  # 2 students for 1 epoch, the optimum and the better one for 2: none was trained twice
    monkeypatch.setattr(measuring, "image_losses", None)
    monkeypatch.setattr(measuring, "losses_together", None)
    assert run(project) == whole  # all is known
    assert not list((project / ".cache/resume").glob("search-*"))


def test_a_refusal_loses_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DistrustError, match=r"search\.fallback is refuse, so the tables must be shown to order students"
    ):
        run(project, "search.fallback=refuse", "search.trained=0")
    assert set(written(project)) == {"latency.json", "trust.json"}
    monkeypatch.setattr(measuring, "image_losses", None)
    monkeypatch.setattr(measuring, "losses_together", None)
    run(project, "search.fallback=warn")
    assert len(trials(project)) == 4
    run(project, "search.fallback=measured")
    table = trials(project)
    assert table["val_loss"][table["is_chosen"]].item() == table["val_loss"].min()
    reason = artifacts.load_json(project / "artifacts/search/result.json", "search")["reason"]
    assert "As search.fallback says, the best measured one was taken" in reason
