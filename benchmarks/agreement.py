"""What the benchmarks of rank agreement share: a finished run to look at."""

import sys
from pathlib import Path


def finished_run(root: Path) -> Path:
    """The folder itself, if a run has ended in it; else the process ends with what to do."""
    if not (root / "artifacts" / "rating").is_dir() or not (root / "artifacts" / "search").is_dir():
        sys.exit(f"error: {root.resolve()} must hold a finished run, but holds none. Run `make run` there first.")
    return root
