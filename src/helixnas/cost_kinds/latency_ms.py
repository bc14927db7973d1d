"""The time of one forward pass, in the runtime of ``cost.latency`` on this machine, or on the user's device."""

import gc
from collections.abc import Callable, Sequence

from helixnas.cost_kinds.kind import MeasuredKind

NUM_WARM, NUM_TIMED = 2, 5
"""Passes of a turn: the first bring a network's weights into the processor's caches, where a deployed one has them."""
TURN_MS = 10.0
"""No further pass of a turn begins after so many milliseconds: longer passes hardly depend on the caches."""


class LatencyMs(MeasuredKind):
    """Milliseconds of one forward pass of one batch."""

    title = "latency"
    unit = "ms"

    def measure(
        self,
        runs: Sequence[Callable[[], float]],
        num_rounds: int,
        quantile: float,
        progress: Callable[[int, int], None],
    ) -> list[float]:
        """Measure rounds in which every network takes one turn of a few passes.

        The quantile should be low, because on a shared machine noise only ever adds. The first round warms up and is
        thrown away.
        """
        import numpy as np

        times = np.empty((num_rounds + 1, len(runs)))
        gc.collect()
        gc.disable()
        try:
            for round_ in range(num_rounds + 1):
                times[round_] = [_turn(run) for run in runs]
                progress(round_ + 1, num_rounds + 1)
        finally:
            gc.enable()
        return [float(value) for value in np.quantile(times[1:], quantile, axis=0)]


def _turn(run: Callable[[], float]) -> float:
    """The median of the last passes of one turn."""
    from statistics import median

    passes: list[float] = []
    while len(passes) < NUM_WARM + NUM_TIMED and sum(passes) < TURN_MS:
        passes.append(run())
    return median(passes[-NUM_TIMED:])


KIND = LatencyMs()
