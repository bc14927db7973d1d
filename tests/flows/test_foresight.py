"""What a run takes from its plan: that it can work, the times, and how good a teacher is that comes trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.foresight import FAULT, judge
from helixnas.errors import HelixError


def planned(**facts: Any) -> str:
    return json.dumps({"workloads": [], "teacher": None, "is_certain": True} | facts)


def test_a_teacher_that_comes_trained_is_told_of_at_the_start(tmp_path: Path) -> None:
    teacher = {"top1_acc": 0.9, "num_images": 270, "num_classes": 10}
    (line,) = judge(tmp_path, 0, planned(teacher=teacher), "")
    assert line.startswith("The teacher gets 90.00 % of 270 rating images right")
    line, warning = judge(tmp_path, 0, planned(teacher=teacher | {"top1_acc": 0.1}), "")
    assert line.startswith("The teacher gets 10.00 %")
    assert "teacher.weights" in warning
    assert judge(tmp_path, 0, planned(), "") == []


def test_a_plan_that_broke_stops_nothing_and_one_that_says_no_does(tmp_path: Path) -> None:
    assert judge(tmp_path, 1, "", "Traceback") == []
    assert judge(tmp_path, FAULT, planned(is_certain=False), "error: perhaps") == []
    with pytest.raises(HelixError, match=r"^No architecture fits\.$"):
        judge(tmp_path, FAULT, planned(), "printed by custom code\nerror: No architecture fits.\n")
