"""The time of one forward pass on this machine, in eager PyTorch."""

import gc
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from helixnas.cost_kinds.kind import MeasuredKind

if TYPE_CHECKING:
    import torch
    from torch import nn


class LatencyMs(MeasuredKind):
    """Milliseconds of one forward pass of one batch."""

    title = "latency"
    unit = "ms"

    def measure(
        self,
        subjects: Sequence[tuple["nn.Module", "torch.Tensor"]],
        num_rounds: int,
        quantile: float,
        progress: Callable[[int, int], None],
    ) -> list[float]:
        """Measure rounds in which every network takes one turn.

        The quantile should be low, because on a shared machine noise only ever adds. The first round warms caches and
        is thrown away.
        """
        import numpy as np
        import torch

        times = np.empty((num_rounds + 1, len(subjects)))
        gc.collect()
        gc.disable()
        try:
            for round_ in range(num_rounds + 1):
                for index, (network, inputs) in enumerate(subjects):
                    with torch.inference_mode():
                        start = time.perf_counter_ns()
                        network(inputs)
                        if inputs.is_cuda:
                            torch.cuda.synchronize()
                        times[round_, index] = time.perf_counter_ns() - start
                progress(round_ + 1, num_rounds + 1)
        finally:
            gc.enable()
        return [float(value) for value in np.quantile(times[1:], quantile, axis=0) / 1e6]


KIND = LatencyMs()
