"""Which stages an edit of the code makes stale, asked of DVC in a copy of a finished run."""

import json
from pathlib import Path

import pytest

from tests.pipeline.conftest import call

pytestmark = [pytest.mark.slow, pytest.mark.flow]

RATED = ("rating@0", "rating@1", "rating@2")
DISTILLED = ("distill@0", "distill@1", "distill@2")
CHOSEN = ("search", "retrain", "compare", "export", "report")


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
    edit(finished, "handover/parts.py")
    assert stale(finished) == {"teacher", "cost", *DISTILLED, *RATED, *CHOSEN}


def test_operations_repeat_the_blocks_that_use_them(finished: Path) -> None:
    (finished / "src/helixnas/student/operations/mine.py").write_text("build = None\n")
    assert stale(finished) == set()
    edit(finished, "student/operations/vit.py")  # an operation that no block uses
    (finished / "own").mkdir(exist_ok=True)
    (finished / "own/ghost.py").write_text(GHOST)
    assert stale(finished) == {"custom", "search_space"}
    assert call(finished, "dvc", "repro", "search_space").returncode == 0
    assert stale(finished) == set()
    params = finished / "params.yaml"
    params.write_text(params.read_text().replace("  operations: []", "  operations: {1: ['own.ghost:ghost']}", 1))
    assert stale(finished) == {"search_space"}
    assert call(finished, "dvc", "repro", "search_space").returncode == 0
    assert stale(finished) == {"distill@1", "rating@1", "cost", *CHOSEN}


GHOST = """
from torch import nn
from helixnas.student import operation


@operation
def ghost(layer):
    return nn.Conv2d(layer.in_width, layer.out_width, 1, layer.stride)
"""
