"""Where a run's bytes come from: the digests that DVC recorded, and git's commit."""

import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from helixnas.cached import LOCK, digests, locked
from helixnas.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Commit:
    """git's HEAD and whether files differ from it. Where there is no git, ``sha`` is "unknown"."""

    sha: str
    is_dirty: bool


def read_commit(root: Path) -> Commit:
    """The commit of the project's folder, and whether files differ from it."""
    sha, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return Commit("unknown", is_dirty=True) if sha is None else Commit(sha, is_dirty=changes != "")


def _git(root: Path, *arguments: str) -> str | None:
    """The answer of git; None outside a repository and where git is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def dvc_md5(root: Path, path: Path) -> str:
    """The digest in ``dvc.lock`` of the output ``path`` (relative to ``root``), or of the output folder it lies in.

    ArtifactError if dvc.lock has neither.
    """
    known = digests(root)
    name = PurePosixPath(path.as_posix())
    for candidate in (name, *name.parents):
        if str(candidate) in known:
            return known[str(candidate)]
    raise ArtifactError(f"{root / LOCK} must record {name}, but does not. Run `dvc repro`.")


def recorded_stages(root: Path) -> list[str]:
    """The stages (``distill@2``) that DVC has brought to an end here, as ``dvc.lock`` lists them."""
    return list(locked(root))
