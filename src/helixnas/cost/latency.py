"""How long networks take on this machine, measured so that a busy moment harms no one of them alone."""

import gc
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from helixnas.progress import Progress

Run = Callable[[], object]


@torch.inference_mode()
def measure(runs: Sequence[Run], num_rounds: int, quantile: float, progress: Progress) -> list[float]:
    """The time of each run in ms: the ``quantile`` over ``num_rounds`` rounds, each of which runs all of them once.

    Rounds are interleaved and the quantile is low, because on a shared machine noise only ever adds. The first round
    warms caches and is thrown away. On CUDA each run must end with a synchronisation.
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
    """A run of ``network`` on ``inputs``, to the end of its work on their device."""

    def run() -> None:
        network(inputs)
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return run


def machine(device: torch.device) -> dict[str, str]:
    """What was measured on: without it a latency means nothing."""
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
