"""Measure the cost of networks in the runtime that a run asks for."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from helixnas.config.schema import CostSection
from helixnas.cost_kinds import measured
from helixnas.progress import Progress
from helixnas.results import Cost
from helixnas.runtimes import Device, open_runtime, runtime_title

Subject = tuple[nn.Module, Tensor]
"""A network and the batch that goes into it, on the same device."""
HELD_BYTES = 2**30
"""Networks of so many bytes of weights are open at a time; larger sets are measured in parts, one after another."""


def measure(
    subjects: Sequence[Subject],
    kinds: Iterable[str],
    settings: CostSection,
    progress: Progress,
    num_rounds: int | None = None,
) -> list[Cost]:
    """Measure networks beside each other, as ``cost.latency`` says: everything that is measured comes from here.

    Args:
        subjects: The networks, in eval mode, with their inputs.
        kinds: Names of kinds of cost; those that are counted are left out.
        settings: The runtime, its threads, and which quantile of the measurements to take.
        progress: Told after each round.
        num_rounds: How often each network is measured, where it is not ``cost.latency.num_rounds``.

    Returns:
        The measured cost of each network.

    Raises:
        ConfigError: The runtime is missing, a part of a network cannot be exported, or the user's command fails.
    """
    found = measured(kinds)
    if not found:
        return [Cost() for _ in subjects]
    runtime, latency = open_runtime(settings), settings.latency
    rounds = latency.num_rounds if num_rounds is None else num_rounds
    costs: list[Cost] = []
    for group in _groups(subjects):
        runs = [runtime.open(network, inputs) for network, inputs in group]
        if isinstance(runtime, Device):  # which warms up and repeats by itself
            costs += [Cost(dict.fromkeys(found, run())) for run in runs]
            progress(len(costs), len(subjects))
            continue
        columns = {name: kind.measure(runs, rounds, latency.quantile, progress) for name, kind in found.items()}
        costs += [Cost({name: values[index] for name, values in columns.items()}) for index in range(len(runs))]
    return costs


def _groups(subjects: Sequence[Subject]) -> Iterator[list[Subject]]:
    """Subjects in parts that may be open at a time."""
    group: list[Subject] = []
    held = 0
    for subject in subjects:
        size = sum(parameter.numel() * parameter.element_size() for parameter in subject[0].parameters())
        if group and held + size > HELD_BYTES:
            yield group
            group, held = [], 0
        group.append(subject)
        held += size
    if group:
        yield group


class _Normalise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (images - 0.5) / 0.25  # the numbers change no time


def from_pixels(network: nn.Module) -> nn.Sequential:
    """Return a network that normalises images first, as the student's file does; by constants of no data."""
    return nn.Sequential(_Normalise(), network)


def measuring_device(settings: CostSection, device: torch.device) -> torch.device:
    """Return where networks are while they are measured: runtimes that take files run on the CPU."""
    return device if settings.latency.command is None and settings.latency.runtime == "torch" else torch.device("cpu")


def machine(device: torch.device, settings: CostSection | None = None) -> dict[str, str]:
    """Describe the machine and versions of a measurement, without which a latency means nothing.

    Args:
        device: Where torch runs.
        settings: Of measured costs, which say the runtime and its threads; None for torch alone.
    """
    where = device if settings is None else measuring_device(settings, device)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else _cpu_name()
    return {
        "device": f"{where.type}: {name}",
        **({} if settings is None else {"runtime": runtime_title(settings)}),
        "num_threads": str(torch.get_num_threads() if settings is None else settings.num_threads),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
