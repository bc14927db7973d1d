"""Latency as in MLPerf's single-stream scenario (Reddi et al. 2020): one query after another, in quantiles."""

import gc
import time
from dataclasses import dataclass

import numpy as np

from helixnas.runtimes.runtime import Run

NUM_QUERIES = 1024
"""The fewest queries of a result."""
NUM_WARM = 10
"""Queries before the first that counts."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one query.

    Attributes:
        p50_ms: The median.
        p90_ms: What nine queries in ten take at most.
        num_queries: How many queries were timed.
    """

    p50_ms: float
    p90_ms: float
    num_queries: int


def single_stream(run: Run, num_queries: int = NUM_QUERIES, max_s: float | None = None) -> Latency:
    """Time queries one after another.

    Args:
        run: One query.
        num_queries: How many.
        max_s: Ends earlier, after so many seconds, but not before one query.
    """
    for _ in range(min(NUM_WARM, num_queries)):
        run()
    times: list[float] = []
    end_s = None if max_s is None else time.monotonic() + max_s
    gc.collect()
    gc.disable()
    try:
        while len(times) < num_queries and not (times and end_s is not None and time.monotonic() > end_s):
            times.append(run())
    finally:
        gc.enable()
    p50_ms, p90_ms = np.quantile(times, [0.5, 0.9])
    return Latency(float(p50_ms), float(p90_ms), len(times))
