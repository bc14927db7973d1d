"""The registered versions of a student, read back from MLflow as plain values."""

from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException

from helixnas.cost_kinds import known
from helixnas.errors import PromotionError
from helixnas.results import Cost, Figures
from helixnas.tracking.store import Store

SHA256 = "sha256"
"""The tag with the checksum of a version's files."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered student. ``is_new`` tells whether the call that returned it made it.

    ``split`` is the digest of the split that it was trained on, ``sha256`` that of its files; None if it is older than
    such digests.
    """

    name: str
    version: int
    arch_id: str
    top1_acc: float
    cost: Cost
    dvc_md5: str
    is_new: bool
    aliases: tuple[str, ...]
    split: str | None = None
    sha256: str | None = None


def tags(figures: Figures, dvc_md5: str) -> dict[str, str]:
    """What a version carries, so that it can be judged without loading it. Each kind of cost has a tag."""
    cost = figures.student.cost
    values = {
        "arch_id": figures.arch_id,
        "top1_acc": figures.student.top1_acc,
        "top1_acc_is": figures.acc_name,
        "split": figures.split,
        **cost,
        "budget": figures.budget,
        "dvc_md5": dvc_md5,
    }
    return {name: str(value) for name, value in values.items()}


def versions(store: Store, name: str) -> list[Version]:
    """Every version that HelixNAS registered under ``name``, the newest first; none if there is no such model."""
    numbers = aliases(store, name)
    found = store.client.search_model_versions(f"name='{name}'")
    ours = [_read(entity, numbers) for entity in found if {"arch_id", "dvc_md5"} <= entity.tags.keys()]
    return sorted(ours, key=lambda version: version.version, reverse=True)


def aliases(store: Store, name: str) -> dict[str, int]:
    """The version number behind each alias. Read from the model: versions that are searched come without aliases."""
    try:
        model = store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {alias: int(number) for alias, number in model.aliases.items()}


def find(store: Store, name: str, dvc_md5: str) -> Version | None:
    """The newest version made of the student file with this digest; None if there is none.

    A version of before splits or checksums were recorded does not count, so that it is registered anew.
    """
    known = (version for version in versions(store, name) if version.split and version.sha256)
    return next((version for version in known if version.dvc_md5 == dvc_md5), None)


def get(store: Store, name: str, number: int) -> Version:
    """The version with this number; PromotionError if there is none."""
    known = {version.version: version for version in versions(store, name)}
    if number not in known:
        numbers = ", ".join(map(str, sorted(known))) or "none"
        raise PromotionError(
            f"Version {number} of {name} must be registered by HelixNAS, but is not. There are: {numbers}. "
            "Choose one of them, or run `make run` to register another."
        )
    return known[number]


def with_alias(store: Store, name: str, alias: str) -> Version | None:
    """The version that bears ``alias``; None if none does."""
    number = aliases(store, name).get(alias)
    return None if number is None else get(store, name, number)


def _read(entity: Any, numbers: dict[str, int]) -> Version:
    number, values = int(entity.version), entity.tags
    costs = {name: float(values[name]) for name in known() if name in values}
    return Version(
        name=entity.name,
        version=number,
        arch_id=values["arch_id"],
        top1_acc=float(values["top1_acc"]),
        cost=Cost(costs),
        dvc_md5=values["dvc_md5"],
        is_new=False,
        aliases=tuple(sorted(alias for alias, holder in numbers.items() if holder == number)),
        split=values.get("split"),
        sha256=values.get(SHA256),
    )
