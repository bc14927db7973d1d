"""What a run looks like while it runs: a bar per stage with its time left, and one for the whole."""

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from helixnas import progress

DURATIONS = Path(".cache/durations.json")
"""How long each stage took the last time it ran, in seconds: what the time left is told from."""
POLL_S = 0.5
LINE_S = 10.0
"""Between two lines where there is no terminal to draw on."""


class Watcher:
    """Draws the progress of a run until its ``with`` block ends. Prefect's hooks tell it what starts and ends."""

    def __init__(self, root: Path, stages: list[str]) -> None:
        self._root, self._stages = root, stages
        self._past_s: dict[str, float] = _read_durations(root)
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watcher":
        for stage in self._stages:
            (self._root / progress.FOLDER / f"{stage}.json").unlink(missing_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        path = self._root / DURATIONS
        path.parent.mkdir(parents=True, exist_ok=True)
        took = {stage: end - self._started[stage] for stage, end in self._ended.items()}
        ran = {stage: seconds for stage, seconds in took.items() if self._state(stage) is not None}
        path.write_text(json.dumps(self._past_s | ran, sort_keys=True))

    def on_running(self, task: Any, run: Any, state: Any) -> None:
        """Prefect's hook: a stage has started (or tries again)."""
        with self._lock:
            self._started.setdefault(run.name, time.monotonic())

    def on_end(self, task: Any, run: Any, state: Any) -> None:
        """Prefect's hook: a stage has ended, well or badly."""
        with self._lock:
            self._ended[run.name] = time.monotonic()

    def _watch(self) -> None:
        if sys.stdout.isatty():
            self._draw()
        else:
            self._print()

    def _draw(self) -> None:
        columns = (
            TextColumn("{task.description:12}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(), transient=True) as bars:
            whole = bars.add_task("all stages", total=1.0, note="")
            shown: dict[str, TaskID] = {}
            while not self._over.wait(POLL_S):
                bars.update(whole, completed=self._share(), note=self._summary())
                for stage in self._running():
                    if stage not in shown:
                        shown[stage] = bars.add_task(stage, total=1.0, note="starting")
                    bars.update(shown[stage], completed=self._stage_share(stage), note=self._note(stage))
                for stage in [stage for stage in shown if stage in self._ended]:
                    bars.remove_task(shown.pop(stage))

    def _print(self) -> None:
        printed = 0.0
        while not self._over.wait(POLL_S):
            if time.monotonic() - printed >= LINE_S:
                printed = time.monotonic()
                running = "; ".join(f"{stage} {self._note(stage)}" for stage in self._running())
                print(f"{self._summary()} | {running or 'between stages'}", flush=True)

    def _running(self) -> list[str]:
        with self._lock:
            return [stage for stage in self._stages if stage in self._started and stage not in self._ended]

    def _state(self, stage: str) -> progress.State | None:
        return progress.read(stage, self._root / progress.FOLDER)

    def _stage_share(self, stage: str) -> float:
        state = self._state(stage)
        return state.done / max(1, state.total) if state else 0.0

    def _note(self, stage: str) -> str:
        state = self._state(stage)
        if state is None:
            return "starting"
        left = "" if state.left_s is None else f", {state.left_s:.0f} s left"
        return f"{state.done}/{state.total}{left}"

    def _weight(self, stage: str) -> float:
        typical = sum(self._past_s.values()) / len(self._past_s) if self._past_s else 15.0
        return self._past_s.get(stage, typical)

    def _share(self) -> float:
        """How much of the whole is done, stages weighed by how long they took the last time."""
        total = sum(map(self._weight, self._stages))
        done = sum(self._weight(s) * (1.0 if s in self._ended else self._stage_share(s)) for s in self._stages)
        return done / total

    def _summary(self) -> str:
        share = self._share()
        done = f"{len(self._ended)} of {len(self._stages)} stages done"
        if not self._started or share < 0.02:
            return done
        elapsed = time.monotonic() - min(self._started.values())
        return f"{done}, about {elapsed / share * (1 - share):.0f} s left"


def _read_durations(root: Path) -> dict[str, float]:
    try:
        return {stage: float(seconds) for stage, seconds in json.loads((root / DURATIONS).read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}  # the first run, or a file cut short: the time left is told less well, no more
