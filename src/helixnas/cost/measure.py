"""Measure the cost of networks on this machine."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from helixnas.cost_kinds import measured
from helixnas.progress import Progress
from helixnas.results import Cost

Subject = tuple[nn.Module, Tensor]
"""A network and the batch that goes into it, on the same device."""


def measure(
    subjects: Sequence[Subject], kinds: Iterable[str], num_rounds: int, quantile: float, progress: Progress
) -> list[Cost]:
    """Measure networks beside each other.

    Args:
        subjects: The networks, in eval mode, with their inputs.
        kinds: Names of kinds of cost; those that are counted are left out.
        num_rounds: How often each network is measured.
        quantile: Which quantile of these measurements to take, 0 to 1.
        progress: Told after each round.

    Returns:
        The measured cost of each network.
    """
    columns = {name: kind.measure(subjects, num_rounds, quantile, progress) for name, kind in measured(kinds).items()}
    return [Cost({name: values[index] for name, values in columns.items()}) for index in range(len(subjects))]


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
