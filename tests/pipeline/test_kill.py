"""kill -9 in the middle of a stage: the rerun goes on from there and ends with the very same bytes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.conftest import call, digests, kill, start
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.flow]

TRACES = {
    "distill@1": ".cache/resume/distill@1-*/checkpoint.pt",
    "rating@1": ".cache/progress/rating@1.json",
    "search": ".cache/search/*.journal",
    "retrain": ".cache/resume/retrain-*/checkpoint.pt",
    "compare": ".cache/resume/compare-*/checkpoint.pt",
}
"""What each stage writes while it works, in the middle of its work."""


def wait_for(root: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    until(lambda: list(root.glob(pattern)) or process.poll() is not None, 280, poll_s=0.005)
    assert process.poll() is None, (root / "killed.log").read_text()[-2000:]


def forget(root: Path, stage: str) -> None:
    """Take a stage's outputs from DVC's cache; else DVC would restore them, and nothing would run again."""
    shutil.rmtree(root / ".dvc/cache/runs")
    for md5 in digests(root, [stage]).values():
        (root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    shutil.rmtree(root / ".cache")


@pytest.mark.parametrize("stage", TRACES)
def test_a_killed_stage_is_run_again_to_the_same_bytes(finished: Path, stage: str) -> None:
    before = digests(finished)
    forget(finished, stage)
    process = start(finished, "dvc", "repro", "--single-item", "--force", stage)
    wait_for(finished, TRACES[stage], process)
    kill(process)
    assert not all((finished / path).is_file() for path in digests(finished, [stage])), "it had ended already"
    done = call(finished, "dvc", "repro")
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.findall(r"Running stage '(.+)'", done.stdout) == [stage]
    assert digests(finished) == before
