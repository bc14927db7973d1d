"""What ``make bench`` says of its figures: medians, spreads, and misses as plainly as hits."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("is_more_better", "values", "is_met"),
    [
        (True, (1.0, 2.0, 9.0), True),
        (True, (1.0, 1.9, 9.0), False),
        (False, (1.0, 2.1, 9.0), False),
        (False, (2.0,), True),
    ],
)
def test_the_median_decides_whether_a_goal_is_met(
    is_more_better: bool, values: tuple[float, ...], is_met: bool
) -> None:
    from figure import Figure

    assert Figure("a", "b", values, goal=2, is_more_better=is_more_better).is_met == is_met


def test_ways_take_turns_and_each_result_stays_with_its_way() -> None:
    from figure import in_turns

    calls: list[str] = []
    rounds = in_turns([lambda: calls.append("a") or "a", lambda: calls.append("b") or "b"], 2)
    assert calls == ["a", "b", "b", "a"]
    assert [[result for _, result in done] for done in rounds] == [["a", "b"], ["a", "b"]]


def test_the_page_tells_a_miss_and_a_script_that_failed() -> None:
    from figure import Figure
    from results import page

    rows = [
        (Path("x.py"), Figure("fast", "slow", (3.0, 1.0, 2.0), 2)),
        (Path("y.py"), Figure("s", "t", (1.5,), 1, "s", False)),
        (Path("a.py"), Figure("t", "0", (0.5,), 0.45, "", interval=(0.3, 0.6), num=44)),
    ]
    text = page(rows, ["z.py"], ["a machine"], 3)
    assert "| [fast](x.py) | slow | **2x** (1 to 3, n = 3) | ≥ 2x | met |" in text
    assert "| [t](a.py) | 0 | **0.5** (95 %: 0.3 to 0.6, n = 44) | ≥ 0.45 | met |" in text
    assert "| [s](y.py) | t | **1.5 s** (1.5 to 1.5, n = 1) | ≤ 1 s | **missed** |" in text
    assert "[z.py](z.py) FAILED" in text


def test_every_script_is_a_figure_that_is_published_or_is_known_not_to_be() -> None:
    from results import OTHERS

    scripts = {path.name: path.read_text() for path in BENCHMARKS.glob("*.py")}
    assert {name for name, text in scripts.items() if "publish(" not in text or name == "figure.py"} == OTHERS


@pytest.mark.slow
def test_a_script_prints_its_figure_and_where_it_was_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "start_up.py"), "--out", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "goal <= 0.5 s" in done.stdout
    assert "commit" in done.stdout
    assert (tmp_path / "out.json").exists()


def test_the_tables_of_a_finished_run_are_looked_at(finished: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "agreement_tables.py"), "--root", str(finished)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "updates of the candidate that has least: 1 (1 to 1, n = 1; goal >= 100: MISSED)" in done.stdout
    assert "cells with the identity that rate worse than it" in done.stdout


def test_a_folder_without_a_run_is_told_so(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "agreement_tables.py"), "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path} must hold a finished run, but holds none. Run `make run` there first.\n"
