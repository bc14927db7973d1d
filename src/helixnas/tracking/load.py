"""A registered student, loaded to predict. Nothing of this package is in it: only torch and MLflow are needed."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from torch import Tensor, nn

from helixnas import archive, artifacts
from helixnas.errors import ArtifactError, PromotionError
from helixnas.scratch import scratch
from helixnas.tracking.alias import CHAMPION, PREVIOUS
from helixnas.tracking.store import Store
from helixnas.tracking.versions import Version, aliases, get, with_alias

EXTRA, NETWORK = Path("extra_files"), Path("data/model.pt2")
"""Where MLflow keeps a version's own files and its exported network, in the folder of its model."""


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
    """The version that bears an alias; PromotionError where there is none."""
    version = with_alias(store, name, alias)
    if version is None:
        known = ", ".join(sorted(aliases(store, name))) or "none"
        raise PromotionError(
            f"{name} must have a version with the alias {alias!r}, but its aliases are: {known}. "
            "Run `make run` to register a challenger, then `helixnas promote` to make it the champion."
        )
    return version


def load_version(store: Store, version: Version) -> Loaded:
    """The module and facts of a version; PromotionError where its files are gone, changed, or would run code."""
    with files_of(store, version) as folder:
        module = load_network(folder)
        return Loaded(version, module, artifacts.load_json(folder / EXTRA / "arch.json", "arch"), _seen(folder))


@contextmanager
def files_of(store: Store, version: Version) -> Iterator[Path]:
    """A folder with a version's files for the body; PromotionError where they are not those that were registered.

    Of a version that is older than checksums this is told, and its network is inspected before it is loaded, as any.
    """
    with scratch() as folder:
        try:
            download(store, f"models:/{version.name}/{version.version}", folder)
            _require_registered(version, folder)
            yield folder
        except (MlflowException, ArtifactError, OSError) as error:
            reason = " ".join(str(error).split())[:400]
            held = [alias for alias in (CHAMPION, PREVIOUS) if alias in version.aliases]  # which `delete` protects
            remedy = f"Run `helixnas delete {version.version}`, then `make run` to register it again."
            if held:
                remedy = f"It is the {held[0]}: run `make run`, then `helixnas promote` to put another in its place."
            raise PromotionError(
                f"Version {version.version} of {version.name} must load without pickle, as it was registered, but: "
                f"{reason} {remedy}"
            ) from error


@contextmanager
def extra_files(store: Store, version: Version) -> Iterator[Path]:
    """A folder with the files that travel with a version's network for the body; PromotionError as ``files_of``."""
    with files_of(store, version) as folder:
        yield folder / EXTRA


def _require_registered(version: Version, folder: Path) -> None:
    if version.sha256 is None:
        older = f"version {version.version} of {version.name} is older than checksums, so it has none."
        print(f"{older} `make run` registers its like with one.", file=sys.stderr)
    elif version.sha256 != digest(folder):
        raise ArtifactError("its files were changed after they were registered: their checksum differs.")


def download(store: Store, uri: str, folder: Path) -> None:
    """Copy the files behind one of MLflow's model URIs to ``folder``."""
    with store.ambient():
        download_artifacts(uri, dst_path=str(folder))


def load_network(folder: Path) -> nn.Module:
    """The exported network among a version's files. MLflow's own reader would unpickle other formats, and add paths."""
    return archive.load_exported((folder / NETWORK).read_bytes(), NETWORK)


def digest(folder: Path) -> str:
    """One SHA-256 of all that is read of a version whose files lie in ``folder``."""
    found = hashlib.sha256()
    for path in (NETWORK, *sorted(path.relative_to(folder) for path in (folder / EXTRA).glob("*"))):
        found.update(f"{path.as_posix()}:{hashlib.sha256((folder / path).read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


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
    """Save the exported network of a registered version at ``target``, sealed; the version, and what it has seen.

    ``reference`` is MLflow's: ``models:/NAME@ALIAS`` or ``models:/NAME/NUMBER``. PromotionError where there is none,
    where its files are gone or changed, or where the images that it has seen were not recorded.
    """
    name, is_alias, last = reference.removeprefix("models:/").partition("@")
    if is_alias:
        version = require_alias(store, name, last)
    else:
        name, _, number = name.rpartition("/")
        version = get(store, name, int(number))
    with files_of(store, version) as folder:
        seen = require_seen(version, _seen(folder))
        artifacts.save_bytes(target, "program", (folder / NETWORK).read_bytes())
    return version, seen
