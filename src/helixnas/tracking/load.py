"""A registered student, loaded to predict. Nothing of this package is in it: only torch and MLflow are needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import atomic, scratch
from helixnas.errors import PromotionError
from helixnas.tracking.store import Store
from helixnas.tracking.versions import Version, aliases, get, with_alias

EXTRA = "extra_files"
"""Where MLflow keeps a version's own files, in the folder of its model."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A version with its module, float32 [N, C, H, W] in 0 to 1 -> logits [N, classes], and the facts of arch.json.

    The module is an exported graph: it runs any batch, and cannot be trained. ``seen`` are the digests, int64 [N], of
    the images that it and its teachers learnt from or were chosen by; None where they were not recorded.
    """

    version: Version
    module: nn.Module
    facts: Mapping[str, Any]
    seen: Tensor | None


def load_model(store: Store, name: str, alias: str) -> Loaded:
    """The version that bears ``alias``; PromotionError tells which aliases there are, and how to get this one."""
    return load_version(store, require_alias(store, name, alias))


def require_alias(store: Store, name: str, alias: str) -> Version:
    version = with_alias(store, name, alias)
    if version is None:
        known = ", ".join(sorted(aliases(store, name))) or "none"
        raise PromotionError(
            f"{name} must have a version with the alias {alias!r}, but its aliases are: {known}. "
            "Run `make run` to register a challenger, then `helixnas promote` to make it the champion."
        )
    return version


def load_version(store: Store, version: Version) -> Loaded:
    """The module and facts of a version; PromotionError where its files are gone or would need pickle."""
    with scratch() as folder:
        try:
            module = load_module(store, f"models:/{version.name}/{version.version}", folder)
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise PromotionError(
                f"Version {version.version} of {version.name} must load without pickle, but: {reason} "
                f"Run `helixnas delete {version.version}`, then `make run` to register it again."
            ) from error
        facts = artifacts.load_json(Path(folder) / EXTRA / "arch.json", "arch")
        return Loaded(version, module, facts, _seen(Path(folder)))


def _seen(folder: Path) -> Tensor | None:
    path = folder / EXTRA / "seen.safetensors"
    return artifacts.load_tensors(path, "seen")[0]["digests"] if path.is_file() else None


def require_seen(version: Version, seen: Tensor | None) -> Tensor:
    """``seen`` of a version; PromotionError where it was not recorded."""
    if seen is None:
        raise PromotionError(
            f"Version {version.version} of {version.name} must tell which images it has seen in training, but was "
            "registered before splits were recorded. Register it anew by `make run`."
        )
    return seen


def fetch_program(store: Store, reference: str, target: Path) -> tuple[Version, Tensor]:
    """Copy the exported network (``.pt2``) of a registered version to ``target``; the version, and what it has seen.

    ``reference`` is MLflow's: ``models:/NAME@ALIAS`` or ``models:/NAME/NUMBER``. PromotionError where there is none,
    or where the images that it has seen were not recorded.
    """
    name, is_alias, last = reference.removeprefix("models:/").partition("@")
    if is_alias:
        version = require_alias(store, name, last)
    else:
        name, _, number = name.rpartition("/")
        version = get(store, name, int(number))
    with scratch() as folder, store.ambient():
        local = download_artifacts(f"models:/{version.name}/{version.version}", dst_path=str(folder))
        seen = require_seen(version, _seen(Path(local)))
        (program,) = Path(local).rglob("*.pt2")
        with atomic(target) as temporary:
            temporary.write_bytes(program.read_bytes())
    return version, seen


def load_module(store: Store, uri: str, folder: Path) -> nn.Module:
    """The module behind one of MLflow's model URIs, by way of a copy of its files in ``folder``."""
    import mlflow.pytorch

    with store.ambient():
        local = download_artifacts(uri, dst_path=str(folder))
    module: nn.Module = mlflow.pytorch.load_model(local)
    return module
