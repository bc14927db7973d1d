"""Find the runtime that params.yaml names: its file is loaded by name, so that a new runtime edits no other file."""

import importlib

from helixnas.config.schema import CostSection
from helixnas.runtimes.device import Device
from helixnas.runtimes.runtime import Runtime


def open_runtime(settings: CostSection) -> Runtime:
    """Return what latencies are measured with: the user's command if there is one, else ``cost.latency.runtime``.

    Raises:
        ConfigError: The runtime is not installed.
    """
    command, timeout_s, name = settings.latency.command, settings.latency.timeout_s, settings.latency.runtime
    if command is not None:
        return Device(command, timeout_s)
    made: Runtime = importlib.import_module(f"helixnas.runtimes.{name}").RUNTIME(settings.num_threads)
    return made


def runtime_title(settings: CostSection) -> str:
    """Say what measures latencies, for people."""
    runtime = open_runtime(settings)
    if isinstance(runtime, Device):
        return runtime.title
    return f"{runtime.title}, {runtime.num_threads} thread{'s' * (runtime.num_threads > 1)}"
