"""How long a run will take: by the plan, corrected by how long its stages took the last time on this machine."""

import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from helixnas.artifacts import CACHE, save_text

DURATIONS = CACHE / "durations.json"
"""Of each step the seconds it took when it last ran here, and those that were planned for it then, if any."""
PLANNED = CACHE / "planned.json"
"""The seconds that the last plan gave each step."""

UNPLANNED_S = 5.0
"""A step that no plan knows and that never ran, such as ``publish``."""
CURRENT_S = 1.0
"""What DVC takes to find that a stage is current."""


def expected_s(root: Path, steps: Collection[str], stale: Collection[str]) -> dict[str, float]:
    """The seconds that each step will take; those that are not ``stale`` are only looked at.

    As long as the last time, times what the plan for this one is longer: a plan knows of changed parameters, the last
    time knows the machine.
    """
    durations, planned = _read(root / DURATIONS), _read(root / PLANNED)
    return {step: _step_s(durations.get(step), planned.get(step)) if step in stale else CURRENT_S for step in steps}


def _step_s(last: list[float] | None, planned: list[float] | None) -> float:
    if last is None:
        return planned[0] if planned else UNPLANNED_S
    took_s, *planned_then = last
    return took_s * planned[0] / planned_then[0] if planned and planned_then else took_s


def remember(root: Path, took_s: Mapping[str, float]) -> None:
    """Keep what steps took, for the next run."""
    planned = _read(root / PLANNED)
    _save(root / DURATIONS, {step: [seconds, *planned.get(step, [])] for step, seconds in took_s.items()})


def remember_plan(root: Path, planned_s: Mapping[str, float]) -> None:
    """Keep what steps will take by a plan."""
    _save(root / PLANNED, {step: [seconds] for step, seconds in planned_s.items()})


def _save(path: Path, changed: Mapping[str, list[float]]) -> None:
    steps = _read(path) | {step: [round(seconds, 1) for seconds in kept] for step, kept in changed.items()}
    save_text(path, json.dumps(steps, sort_keys=True) + "\n")


def time_left_s(graph: Mapping[str, Sequence[str]], left_s: Mapping[str, float], num_workers: int) -> float:
    """When the last of the steps in ``left_s`` ends, in seconds from now.

    Steps start in the graph's order, each on the first free worker, where it waits for the steps before it.

    Args:
        graph: Each step with the steps that it waits for, in an order in which every step comes after those.
        left_s: The seconds that each step still takes.
        num_workers: How many steps run at a time.
    """
    free_s = [0.0] * num_workers
    end_s: dict[str, float] = {}
    for step, before in graph.items():
        if step in left_s:
            start_s = max([heapq.heappop(free_s), *(end_s[name] for name in before if name in end_s)])
            end_s[step] = start_s + left_s[step]
            heapq.heappush(free_s, end_s[step])
    return max(end_s.values(), default=0.0)


def _read(path: Path) -> dict[str, list[float]]:
    try:
        steps = json.loads(path.read_text(encoding="utf-8")).items()
        return {step: [max(0.1, float(value)) for value in kept] for step, kept in steps}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # the first run, or a file of somebody else: the time left is told less well, no more
