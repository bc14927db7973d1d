"""One stage of dvc.yaml as one Prefect task: DVC says whether there is anything to do, Prefect tries again."""

import subprocess
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.logging import get_run_logger
from prefect.states import State

from flows.processes import Processes, dvc_command
from helixnas.errors import HelixError

LOGS = Path(".cache/logs")
_LOCKED = ("Unable to acquire lock", "is busy, it is being blocked by")


class StageLocked(RuntimeError):
    """Another DVC process held the lock for longer than DVC waits: try again."""


class StageFailed(HelixError):
    """A stage ended badly; the text is its own message, or where to read."""


def is_lock_error(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth another try. A real failure is not."""
    try:
        state.result()
    except StageLocked:
        return True
    except Exception:  # noqa: BLE001  # any other end of the stage: its own message has been shown
        return False
    return False


@task(
    cache_policy=NO_CACHE,  # DVC owns caching
    retries=20,
    retry_delay_seconds=1,
    retry_jitter_factor=0.5,
    retry_condition_fn=is_lock_error,
    task_run_name="{stage}",
)
def run_stage(stage: str, root: Path, processes: Processes) -> str:
    """Bring a stage up to date; "ran", "cached" (taken from DVC's cache) or "skipped" (nothing had changed)."""
    logger = get_run_logger()
    return repro(stage, root, processes, logger.info)


def repro(stage: str, root: Path, processes: Processes, show: Any) -> str:
    """``dvc repro --single-item`` with its output in ``.cache/logs/STAGE.log``.

    Single, since another process may be at the stages before this one; they are done when this is called.
    """
    path = root / LOGS / f"{stage}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    try:
        with path.open("w", encoding="utf-8") as log:
            for line in processes.lines([*dvc_command(), "repro", "--single-item", stage], root):
                lines.append(line.rstrip())
                log.write(line)
                show(line.rstrip())
    except subprocess.CalledProcessError as error:
        raise _failure(stage, lines, path) from error
    return _outcome(lines)


def _outcome(lines: list[str]) -> str:
    text = "\n".join(lines)
    if "is cached - skipping run" in text:
        return "cached"
    return "skipped" if "didn't change, skipping" in text else "ran"


def _failure(stage: str, lines: list[str], log: Path) -> Exception:
    if any(mark in line for line in lines for mark in _LOCKED):
        return StageLocked(f"{stage}: DVC's lock is held by another process.")
    starts = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    if not starts:
        return StageFailed(f"Stage {stage} failed; its output is in {log}.")
    message = [
        line for line in lines[starts[-1] :] if not line.startswith("ERROR: ")
    ]  # DVC's own, in capitals, comes behind
    return StageFailed(f"{stage}: " + "\n".join(message).removeprefix("error: ").strip())
