"""Which stages an edit of the code makes stale, asked of DVC in a copy of a finished run."""

import json
from pathlib import Path

import pytest

from tests.pipeline.conftest import call

pytestmark = [pytest.mark.slow, pytest.mark.flow]

RATED = ("rating@0", "rating@1", "rating@2")
DISTILLED = ("distill@0", "distill@1", "distill@2")


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
    for name in ("tracking/registry.py", "plan/planning.py", "errors.py", "progress.py"):
        edit(finished, name)
    (finished / "src/helixnas/search_space/spaces/mine.py").write_text("cells = None\n")
    for room in ("distill", "rating"):
        (finished / f"src/helixnas/{room}/mine.py").write_text("# a way that is not chosen\n")
    assert stale(finished) == set()
    edit(finished, "telling.py")
    assert stale(finished) == {"report"}
    edit(finished, "report/page.py")
    assert stale(finished) == {"report"}
    edit(finished, "search/exact.py")
    assert stale(finished) == {"report", "search"}
    edit(finished, "rating/feature.py")
    assert stale(finished) == {"report", "search", *RATED}
    edit(finished, "retrain/lr_range.py")
    assert stale(finished) == {"report", "search", *RATED, "retrain", "compare"}
    edit(finished, "distill/teacher.py")
    assert stale(finished) == {"report", "search", *RATED, "retrain", "compare", *DISTILLED}
    edit(finished, "stages/loading.py")
    assert stale(finished) == {"report", "search", *RATED, "retrain", "compare", *DISTILLED, "teacher", "cost"}
