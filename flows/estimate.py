"""How long a run will take: told from how long its stages took the last time."""

import heapq
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from flows.graph import Graph
from helixnas.artifacts import CACHE, save_text

DURATIONS = CACHE / "durations.json"
"""The seconds that each step took when it last ran here."""

FIRST_S = {
    "data": 4.0,
    "teacher": 40.0,
    "distill": 27.0,
    "rating": 12.0,
    "cost": 12.0,
    "search": 20.0,
    "retrain": 40.0,
    "report": 10.0,
    "publish": 8.0,
}
"""The same before anything ran: the embedded default on two cores."""
OTHER_S = 15.0
CURRENT_S = 1.0
"""What DVC takes to find that a stage is current."""


def expected_s(root: Path, steps: Collection[str], stale: Collection[str]) -> dict[str, float]:
    """The seconds that each step will take; those that are not ``stale`` are only looked at."""
    last_s = _read(root / DURATIONS)
    return {
        step: last_s.get(step, FIRST_S.get(step.partition("@")[0], OTHER_S)) if step in stale else CURRENT_S
        for step in steps
    }


def remember(root: Path, took_s: Mapping[str, float]) -> None:
    """Keep what steps took, for the next run."""
    durations = _read(root / DURATIONS) | {step: round(seconds, 1) for step, seconds in took_s.items()}
    save_text(root / DURATIONS, json.dumps(durations, indent=1, sort_keys=True) + "\n")


def time_left_s(graph: Graph, left_s: Mapping[str, float], num_workers: int) -> float:
    """When the last of the steps in ``left_s`` ends, in seconds from now.

    Steps start in the graph's order, each on the first free worker, where it waits for the steps before it.
    """
    free_s = [0.0] * num_workers
    end_s: dict[str, float] = {}
    for step, before in graph.items():
        if step in left_s:
            start_s = max([heapq.heappop(free_s), *(end_s[name] for name in before if name in end_s)])
            end_s[step] = start_s + left_s[step]
            heapq.heappush(free_s, end_s[step])
    return max(end_s.values(), default=0.0)


def _read(path: Path) -> dict[str, float]:
    try:
        return {step: float(seconds) for step, seconds in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}  # the first run, or a file that someone changed: the time left is told less well, no more
