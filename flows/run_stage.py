"""One stage of dvc.yaml as one Prefect task: DVC says whether there is anything to do, Prefect tries again."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from flows.processes import Processes, dvc_command
from flows.watch import Watch
from helixnas.artifacts import CACHE
from helixnas.progress import FOLDER, WATCHED

LOGS = CACHE / "logs"

FAULT = "Fault"
"""The name of a failed state that the user can mend: its message says how."""
BROKEN = "Broken"
"""The name of a failed state of any other kind: its message names the log."""
LOCKED = "Locked"
"""The name of a failed state worth another try: another DVC process was in the way."""
_LOCK_WORDS = ("Unable to acquire lock", "is busy, it is being blocked by")
"""What DVC says in that case."""


def is_locked(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether a failed task is worth another try. A real failure is not."""
    return state.name == LOCKED


@task(
    cache_policy=NO_CACHE,  # DVC owns caching
    retries=40,
    retry_delay_seconds=[1.0] * 10 + [5.0],  # the last is repeated: another `dvc repro` may be at work on the stage
    retry_jitter_factor=0.5,
    retry_condition_fn=is_locked,
    task_run_name="{stage}",
)
def run_stage(stage: str, root: Path, processes: Processes, watch: Watch) -> str | State[Any]:
    """Bring a stage up to date: "ran", "cached" (taken from DVC's cache), "skipped" (current), or a failed state."""
    if processes.is_stopped:
        return Failed(name=BROKEN, message=f"{stage} did not start: the run was stopped.")
    watch.started(stage)
    outcome = repro(stage, root, processes, get_run_logger().info)
    watch.ended(stage, outcome if isinstance(outcome, str) else "failed")
    return outcome


def repro(stage: str, root: Path, processes: Processes, show: Callable[[str], object]) -> str | State[Any]:
    """``dvc repro --single-item``, its output shown line by line and kept in ``.cache/logs/STAGE.log``.

    Single, since another process may be at work on the stages before this one; they are done when this is called.
    """
    (root / FOLDER / f"{stage}.json").unlink(missing_ok=True)
    log = LOGS / f"{stage}.log"
    (root / log).parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    try:
        with (root / log).open("w", encoding="utf-8") as file:
            for line in processes.lines(dvc_command("repro", "--single-item", stage), root, {WATCHED: "1"}):
                lines.append(line)
                print(line, file=file, flush=True)
                show(line)
    except subprocess.CalledProcessError:
        return _failure(stage, lines, log)
    text = "\n".join(lines)
    if "is cached - skipping run" in text:
        return "cached"
    return "skipped" if "didn't change, skipping" in text else "ran"


def _failure(stage: str, lines: Sequence[str], log: Path) -> State[Any]:
    """The state that says what the stage itself said after "error: ", or else the end of its output."""
    text = "\n".join(line for line in lines if not line.startswith("ERROR: ")).strip()  # DVC's own word is in capitals
    _, is_fault, message = f"\n{text}".rpartition("\nerror: ")
    if is_fault:
        return Failed(name=FAULT, message=f"{stage}: {message.strip()}")
    last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
    if any(words in line for line in lines for words in _LOCK_WORDS):
        return Failed(name=LOCKED, message=f"{stage}: {last}")
    if "\nTraceback " in f"\n{text}":
        last = text.splitlines()[-1]
    return Failed(name=BROKEN, message=f"{stage} failed: {last}\nIts output is in {log}.")
