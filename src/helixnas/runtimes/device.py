"""A user's own device: a command that takes an ONNX file, and prints the milliseconds that one pass took there."""

import math
import shlex
import subprocess
import tempfile
import weakref
from pathlib import Path

from torch import Tensor, nn

from helixnas.errors import ConfigError
from helixnas.runtimes.graph import Graphs
from helixnas.runtimes.runtime import Run, Runtime

SHOWN = 300
"""So many letters of what a command printed are shown."""


class Device(Runtime):
    """Runs ``cost.latency.command``, with the file's path as its last argument.

    Args:
        command: The command as in a shell; no shell runs it.
        timeout_s: Seconds that it may take for one file.
    """

    is_repeated = False

    def __init__(self, command: str, timeout_s: float) -> None:
        super().__init__(num_threads=1)
        self._command, self._timeout_s, self._graphs = command, timeout_s, Graphs()

    @property
    def title(self) -> str:
        """The command."""
        return f"`{self._command}`"

    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Write the network's file; each pass is a call of the command."""
        folder = tempfile.TemporaryDirectory(prefix="helixnas-")
        path = Path(folder.name) / "network.onnx"
        path.write_bytes(self._graphs(network, inputs).SerializeToString())

        def run() -> float:
            return self.measure(path)

        weakref.finalize(run, folder.cleanup)
        return run

    def measure(self, path: Path) -> float:
        """Return the milliseconds that the command prints for a file, as its last line.

        Raises:
            ConfigError: The command is missing, fails, takes too long, or prints no number above 0.
        """
        asked = f"cost.latency.command is {self._command!r}, which must print milliseconds"
        try:
            done = subprocess.run(
                [*shlex.split(self._command), str(path)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigError(
                f"{asked} within cost.latency.timeout_s = {self._timeout_s:g}, but took longer for {path.name}. "
                "Raise cost.latency.timeout_s, or let the command run fewer passes."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"{asked}, but cannot be run: {error}. Name a program that exists.") from error
        if done.returncode:
            said = done.stderr.strip()[-SHOWN:] or "nothing on stderr"
            raise ConfigError(
                f"{asked}, but ended with code {done.returncode}: {said}. Try it by hand on an ONNX file."
            )
        last = (done.stdout.strip().splitlines() or [""])[-1].strip()
        try:
            time_ms = float(last)
        except ValueError:
            time_ms = math.nan
        if not 0 < time_ms < math.inf:
            raise ConfigError(f"{asked} as its last line, a number above 0, but printed {last[:SHOWN]!r}.")
        return time_ms
