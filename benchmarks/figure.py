"""One headline figure: two ways of the same work, taken in turns in one run, and the ratio of their times."""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent
T = TypeVar("T")
PACKAGES = ("torch", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as measured: the ``values`` of its rounds, in ``unit`` ("x": how many times as fast as the rival).

    ``goal`` is the least that is good, or the most, if not ``is_more_better``; ``rival`` says what it is held against.
    """

    name: str
    rival: str
    values: tuple[float, ...]
    goal: float
    unit: str = "x"
    is_more_better: bool = True
    note: str = ""
    interval: tuple[float, float] | None = None
    """The 95 % interval of a figure that is taken once, over ``num`` things; else the rounds tell the spread."""
    num: int = 0

    @property
    def spread(self) -> str:
        """How sure the value is."""
        if self.interval is not None:
            return f"95 %: {self.interval[0]:.3g} to {self.interval[1]:.3g}, n = {self.num}"
        return f"{min(self.values):.3g} to {max(self.values):.3g}, n = {len(self.values)}"

    @property
    def value(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.is_more_better else self.value <= self.goal

    def __str__(self) -> str:
        sign, space = (">=" if self.is_more_better else "<="), "" if self.unit in ("x", "%", "") else " "
        verdict = "met" if self.is_met else "MISSED"
        return (
            f"{self.name}: {self.value:.3g}{space}{self.unit} ({self.spread}; "
            f"goal {sign} {self.goal:g}{space}{self.unit}: {verdict}) against {self.rival}"
            f"{f'. {self.note}' if self.note else ''}"
        )


def in_turns(ways: Sequence[Callable[[], T]], num_rounds: int) -> list[list[tuple[float, T]]]:
    """Each way's seconds and result, for each round; in each round all ways run, every other round backwards."""
    rounds = []
    for index in range(num_rounds):
        order = range(len(ways)) if index % 2 == 0 else reversed(range(len(ways)))
        done = {position: timed(ways[position]) for position in order}
        rounds.append([done[position] for position in range(len(ways))])
    return rounds


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def publish(*figures: Figure) -> None:
    """Print the figures and where they were measured; ``--out FILE`` keeps them for RESULTS.md, too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    out = parser.parse_known_args()[0].out
    for figure in figures:
        print(figure)
    print(f"on {where()}")
    if out is not None:
        rows = [asdict(figure) for figure in figures]
        out.write_text(json.dumps({"figures": rows, "where": where()}), encoding="utf-8")


def where() -> str:
    """Processor, cores, threads, versions and commit."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    return (
        f"{names[0] if names else platform.machine()} ({os.cpu_count()} cores), "
        f"OMP_NUM_THREADS={threads}, Python {platform.python_version()}, {versions}, "
        f"commit {_commit()}"
    )


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
