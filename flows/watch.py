"""What a run looks like while it runs: a bar per stage with its time left, and one for the whole."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from flows.graph import Graph
from helixnas import progress
from helixnas.plan.durations import remember, time_left_s

POLL_S = 0.25
LINE_S = 10.0
"""Between two lines where there is no terminal to draw on."""


class Watch:
    """Draws a run until its ``with`` block ends. Whoever works on a step says when it starts and ends."""

    def __init__(
        self, root: Path, graph: Graph, expected_s: Mapping[str, float], num_workers: int, console: Console
    ) -> None:
        self._root, self._graph, self._console = root, graph, console
        self._expected_s, self._num_workers = expected_s, num_workers
        self._began = time.monotonic()
        self._started: dict[str, float] = {}
        self._outcomes: dict[str, str] = {}
        self._took_s: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw if console.is_terminal else self._print, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        remember(self._root, {step: self._took_s[step] for step, end in self._outcomes.items() if end == "ran"})

    def started(self, step: str) -> None:
        """A step has started, or tries again."""
        with self._lock:
            self._started[step] = time.monotonic()

    def ended(self, step: str, outcome: str) -> None:
        """A step has ended; "ran" makes its duration worth remembering."""
        with self._lock:
            self._outcomes[step] = outcome
            self._took_s[step] = time.monotonic() - self._started[step]

    def left_s(self) -> float:
        """Seconds until the run ends, as far as can be told."""
        now = time.monotonic()
        with self._lock:
            left_s = {step: self._step_left_s(step, now) for step in self._graph if step not in self._outcomes}
        return time_left_s(self._graph, left_s, self._num_workers)

    def line(self) -> str:
        """The run in one line."""
        running = "; ".join(f"{step} {self._note(step)}" for step in self._running()) or "between stages"
        return f"{self._summary()} | {running}"

    def _running(self) -> list[str]:
        with self._lock:
            return [step for step in self._graph if step in self._started and step not in self._outcomes]

    def _step_left_s(self, step: str, now: float) -> float:
        if step not in self._started:
            return self._expected_s[step]
        state = progress.read(step, self._root / progress.FOLDER)
        if state is not None and state.left_s is not None:
            return max(state.left_s, 1.0)
        return max(self._expected_s[step] - (now - self._started[step]), 1.0)

    def _summary(self) -> str:
        return f"{len(self._outcomes)} of {len(self._graph)} steps done, about {duration(self.left_s())} left"

    def _note(self, step: str) -> str:
        with self._lock:
            left = f"{duration(self._step_left_s(step, time.monotonic()))} left"
        state = progress.read(step, self._root / progress.FOLDER)
        return left if state is None else f"{state.done}/{state.total}, {left}"

    def _print(self) -> None:
        while not self._over.wait(LINE_S):
            self._console.print(self.line(), soft_wrap=True)

    def _draw(self) -> None:
        columns = (TextColumn("{task.description:12}"), BarColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, console=self._console, transient=True) as bars:
            whole = bars.add_task("the run", total=1.0, note="")
            shown: dict[str, TaskID] = {}
            while not self._over.wait(POLL_S):
                elapsed_s, left_s = time.monotonic() - self._began, self.left_s()
                bars.update(whole, completed=elapsed_s / (elapsed_s + left_s), note=self._summary())
                running = self._running()
                for step in [step for step in shown if step not in running]:
                    bars.remove_task(shown.pop(step))
                    bars.console.print(f"{step:12} {self._outcomes[step]}, {duration(self._took_s[step])}", style="dim")
                for step in running:
                    if step not in shown:
                        shown[step] = bars.add_task(step, total=1.0, note="")
                    state = progress.read(step, self._root / progress.FOLDER)
                    share = state.done / max(state.total, 1) if state else 0.0
                    bars.update(shown[step], completed=share, note=self._note(step))


def duration(seconds: float) -> str:
    """Seconds for people: ``45 s``, ``2 min 05 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"
