"""Which stages an edit of the code makes stale, asked of DVC in a copy of a finished run."""

import json
from pathlib import Path

import pytest

from tests.pipeline.conftest import call

pytestmark = [pytest.mark.slow, pytest.mark.flow]

TRAINED = ("teacher", "distill@0", "distill@1", "distill@2")


def stale(root: Path) -> set[str]:
    """The stages whose code, parameters or inputs differ from those of the last run."""
    done = call(root, "dvc", "status", "--json")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def edit(root: Path, name: str) -> None:
    path = root / "src/helixnas" / name
    path.write_text(path.read_text() + "\n# an edit\n")


def test_edits_repeat_what_they_can_change_and_nothing_else(finished: Path) -> None:
    assert stale(finished) == set()
    for name in ("tracking/registry.py", "plan/planning.py", "telling.py", "errors.py", "progress.py"):
        edit(finished, name)
    (finished / "src/helixnas/search_space/spaces/mine.py").write_text("cells = None\n")
    assert stale(finished) == set()
    edit(finished, "report/page.py")
    assert stale(finished) == {"report"}
    edit(finished, "retrain/lr_range.py")
    assert stale(finished) == {"report", "retrain", "compare"}
    edit(finished, "search/exact.py")
    assert stale(finished) == {"report", "retrain", "compare", "search"}
    edit(finished, "rating/rate.py")
    now = stale(finished)
    assert {"rating@0", "rating@1", "rating@2"} <= now
    assert not now & set(TRAINED)
    edit(finished, "student/supernet.py")
    assert {"distill@0", "distill@1", "distill@2"} <= stale(finished)
    assert "teacher" not in stale(finished)
