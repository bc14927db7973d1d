"""Keep the state of a half-done training, so that kill -9 loses an epoch and not the run."""

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from helixnas.artifacts import atomic

NUM_DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoint:
    """One file that is replaced as a whole: a SHA-256, then the bytes that torch writes.

    Its path carries a digest of all that the training depends on. The checksum is ours because torch's reader
    has none: on a damaged file, torch raises ten kinds of error, or none and gives other weights.

    Args:
        path: The file, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file by ``state``, whole or not at all."""
        buffer = io.BytesIO()  # bytes first: a full disk must raise OSError, which ``atomic`` explains
        torch.save(state, buffer)
        with atomic(self.path) as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.write(buffer.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None to start afresh.

        The file is read with ``weights_only``: a checkpoint cannot run code. A damaged file is reported on stderr and
        counts as none.
        """
        if not self.path.is_file():
            return None
        data = self.path.read_bytes()
        digest, content = data[:NUM_DIGEST_BYTES], memoryview(data)[NUM_DIGEST_BYTES:]
        fault: object = "its checksum differs"
        if hashlib.sha256(content).digest() == digest:
            try:
                state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            except (RuntimeError, pickle.UnpicklingError) as error:  # whole, but another version's
                fault = error
            else:
                return state
        print(f"{self.path} cannot be read ({fault}); starting afresh.", file=sys.stderr)
        return None
