"""Overrides, written into params.yaml, where DVC sees them."""

from pathlib import Path

from helixnas.config import load
from helixnas.config.load import FILE_NAME


def override(root: Path, overrides: list[str]) -> None:
    """Write overrides such as ``distill.lr=0.01`` into params.yaml, comments kept. ConfigError before anything is written."""
    from dvc.utils.hydra import apply_overrides

    load(root, overrides)
    apply_overrides(root / FILE_NAME, overrides)
