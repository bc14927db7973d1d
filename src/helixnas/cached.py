"""DVC's own copies of artifacts: where an artifact is damaged because its copy is, removing it alone brings it back."""

import configparser
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

LOCK = "dvc.lock"


def locked(root: Path) -> dict[str, Any]:
    """The stages that DVC has brought to an end at ``root``, as ``dvc.lock`` records them."""
    path = root / LOCK
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    stages: dict[str, Any] = (yaml.safe_load(text) or {}).get("stages", {})
    return stages


def digests(root: Path) -> Mapping[str, str]:
    """The MD5 of each output that ``dvc.lock`` records."""
    outs = [out for stage in locked(root).values() for out in stage.get("outs", [])]
    return {out["path"]: str(out["md5"]) for out in outs if "md5" in out}


def bad_copy(root: Path, name: PurePosixPath) -> Path | None:
    """The file in DVC's cache that must go with a damaged artifact; None where DVC has a good copy, or none.

    A copy is bad that is not what DVC calls it, or is what DVC has recorded and yet cannot be used.
    """
    try:
        return _bad_copy(root, name, digests(root))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None  # no project of DVC's, or a damaged one


def _bad_copy(root: Path, name: PurePosixPath, known: Mapping[str, str]) -> Path | None:
    out = next((place for place in (name, *name.parents) if str(place) in known), None)
    if out is None:
        return None
    md5, copy = known[str(out)], _object(root, known[str(out)])
    if md5.endswith(".dir") and copy.is_file():
        if _md5(copy) != md5.removesuffix(".dir"):
            return copy
        listed = {entry["relpath"]: str(entry["md5"]) for entry in json.loads(copy.read_bytes())}
        md5 = listed[str(name.relative_to(out))]
        copy = _object(root, md5)
    is_bad = copy.is_file() and (_md5(copy) != md5 or _md5(root / name) == md5)
    return copy if is_bad else None


def _object(root: Path, md5: str) -> Path:
    config = configparser.ConfigParser()
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"])
    cache = root / ".dvc" / config.get("cache", "dir", fallback="cache")
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
