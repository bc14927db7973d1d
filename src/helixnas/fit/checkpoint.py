"""The state of a half-done training, so that kill -9 loses an epoch and not the run."""

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from helixnas.artifacts import atomic


class Checkpoint:
    """One file that is replaced whole. Its name carries a digest of all that the training depends on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, state: dict[str, Any]) -> None:
        buffer = io.BytesIO()  # bytes first: a full disk must raise OSError, which ``atomic`` explains
        torch.save(state, buffer)
        with atomic(self._path) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None to start afresh. Read with ``weights_only``: a checkpoint cannot run code."""
        if not self._path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError) as error:  # torch's reader meets them all
            print(f"{self._path} cannot be read ({error}); starting afresh.", file=sys.stderr)
            return None
        return state

    def clear(self) -> None:
        """Remove the file: the training has ended and its result is saved."""
        self._path.unlink(missing_ok=True)
