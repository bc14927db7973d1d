"""Measure how long networks take on this machine, so that a busy moment does not harm one network alone."""

import gc
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from helixnas.progress import Progress

Run = Callable[[], object]
"""A function that runs a network once, to the end of its work."""


@torch.inference_mode()
def measure(runs: Sequence[Run], num_rounds: int, quantile: float, progress: Progress) -> list[float]:
    """Measure the time of each run in ms, as a quantile over rounds in which every run takes one turn.

    Rounds are interleaved and the quantile should be low, because on a shared machine noise only ever adds. The first
    round warms caches and is thrown away.

    Args:
        runs: Each runs a network once; on CUDA, each must end with a synchronisation.
        num_rounds: Rounds that count.
        quantile: Which quantile of the times to take, 0 to 1.
        progress: Told after each round.

    Returns:
        The latency_ms of each run.
    """
    times = np.empty((num_rounds + 1, len(runs)))
    gc.collect()
    gc.disable()
    try:
        for round_ in range(num_rounds + 1):
            for index, run in enumerate(runs):
                start = time.perf_counter_ns()
                run()
                times[round_, index] = time.perf_counter_ns() - start
            progress(round_ + 1, num_rounds + 1)
    finally:
        gc.enable()
    return [float(value) for value in np.quantile(times[1:], quantile, axis=0) / 1e6]


def runner(network: torch.nn.Module, inputs: torch.Tensor) -> Run:
    """Make a run of ``network`` on ``inputs`` that waits for the end of its work on their device."""

    def run() -> None:
        network(inputs)
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return run


def machine(device: torch.device) -> dict[str, str]:
    """Describe the machine and versions of a measurement, without which a latency means nothing."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "device": f"{device.type}: {name}",
        "num_threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
