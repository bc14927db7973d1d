"""What ``helixnas plan`` tells before a run: that it can work at all, and how long each stage will take."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from flows.processes import environment
from helixnas.errors import HelixError
from helixnas.plan.durations import remember_plan
from helixnas.results import TeacherAccuracy

FAULT = 2
"""The exit code for what the user can mend."""


@contextmanager
def foresee(root: Path) -> Iterator[Callable[[], list[str]]]:
    """Start the plan, in a process of its own; what is given waits for it, judges it and says what it has to tell."""
    command = [sys.executable, "-m", "helixnas", "plan", "--json"]
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        process = subprocess.Popen(command, cwd=root, env=environment(), stdout=out, stderr=err)

        def check() -> list[str]:
            process.wait()
            out.seek(0)
            err.seek(0)
            return judge(root, process.returncode, out.read(), err.read())

        try:
            yield check
        finally:
            process.kill()
            process.wait()


def judge(root: Path, code: int, out: str, err: str) -> list[str]:
    """Keep the times for the run's estimates, and say how good the teacher is that comes trained.

    HelixError, with the plan's words, if the run cannot work.

    A plan that breaks in any other way stops nothing: the stage that meets the same will say more.
    """
    plan = json.loads(out) if out.strip() else {}
    if code == FAULT and plan.get("is_certain", True):
        raise HelixError(f"\n{err}".rpartition("\nerror: ")[2].strip())  # what custom code printed stands before it
    if plan:
        remember_plan(root, {row["stage"]: row["time_s"] for row in plan["workloads"]})
    if not plan.get("teacher"):
        return []
    teacher = TeacherAccuracy(**plan["teacher"])
    return [str(teacher), *([teacher.warning] if teacher.warning else [])]
