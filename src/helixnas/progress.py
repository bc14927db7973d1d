"""How far a stage is, for whoever watches: a small file per stage, and a line on the terminal when nobody draws bars.

A room knows nothing of this. It is handed a ``Progress`` and a ``Log``, and calls them.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with (done, total), in any unit, as the work advances."""

Log = Callable[[str, float, int], None]
"""Called with (name, value, step): one point of a curve."""

FOLDER = Path(".cache/progress")
WATCHED = "HELIXNAS_WATCHED"
"""Set by a flow that draws the bars itself; then a stage prints no progress of its own."""


@dataclass(frozen=True, slots=True)
class State:
    """A stage's progress at one moment. ``left_s`` is None until enough is done to tell."""

    stage: str
    done: int
    total: int
    elapsed_s: float
    left_s: float | None


def silent(done: int, total: int) -> None:
    """A Progress that shows nothing."""


def forget(name: str, value: float, step: int) -> None:
    """A Log that keeps nothing."""


class Reporter:
    """A Progress for one stage (``distill@2``): writes its State to ``.cache/progress``, at most 4 times a second."""

    def __init__(self, stage: str, folder: Path = FOLDER) -> None:
        self._stage = stage
        self._path = folder / f"{stage}.json"
        self._start = time.monotonic()
        self._first_done: int | None = None
        self._written = self._printed = -1e9

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        now = time.monotonic()
        if self._first_done is None:
            self._first_done = done
        if done < total and now - self._written < 0.25:
            return
        self._written = now
        fresh = done - self._first_done
        left_s = (now - self._start) / fresh * (total - done) if fresh > 0 else None
        self._write(State(self._stage, done, total, now - self._start, left_s))
        if WATCHED not in os.environ and (done >= total or now - self._printed >= 5):
            self._printed = now
            left = "" if left_s is None else f", {left_s:.0f} s left"
            print(f"{self._stage}: {done}/{total}{left}", file=sys.stderr, flush=True)

    def _write(self, state: State) -> None:
        """A disk without room does not end the work here: the work's own files say it better."""
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps(asdict(state)))
                temporary.replace(self._path)
            finally:
                temporary.unlink(missing_ok=True)


def read(stage: str, folder: Path = FOLDER) -> State | None:
    """The last State that a stage wrote; None if it wrote none."""
    try:
        return State(**json.loads((folder / f"{stage}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
