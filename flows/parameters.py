"""Overrides, written into params.yaml, where DVC sees them."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from helixnas.artifacts import save_text
from helixnas.config import load
from helixnas.config.load import FILE_NAME


def override(root: Path, overrides: Sequence[str]) -> None:
    """Write overrides such as ``distill.lr=0.01`` into params.yaml, comments kept.

    ConfigError, and params.yaml as it was, if the result could not work.
    """
    if not overrides:
        return
    from dvc.utils.hydra import apply_overrides

    load(root, overrides)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / FILE_NAME
        shutil.copy(root / FILE_NAME, copy)
        apply_overrides(copy, list(overrides))
        save_text(root / FILE_NAME, copy.read_text(encoding="utf-8"))
