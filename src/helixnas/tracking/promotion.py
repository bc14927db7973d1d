"""Who is champion: a gate that a challenger must pass, a way back, and what may be deleted."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from helixnas.errors import PromotionError
from helixnas.search_space import Budget, quantity
from helixnas.tracking.alias import CHALLENGER, CHAMPION, PREVIOUS
from helixnas.tracking.load import load_version
from helixnas.tracking.store import Store
from helixnas.tracking.versions import Version, aliases, get, with_alias

Evaluate = Callable[[nn.Module], float]
"""A module's top-1 accuracy (0 to 1), the same images for each."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that was granted. Accuracies are those of this gate, None where none was taken."""

    version: int
    previous: int | None
    challenger_acc: float | None
    champion_acc: float | None
    reason: str


def promote(
    store: Store, name: str, evaluate: Evaluate, *, budget: Budget, max_acc_drop: float, version: int | None = None
) -> Promotion:
    """Make the challenger, or ``version``, the champion, if it fits the budget and is accurate enough.

    It may lose ``max_acc_drop`` (0 to 1) against the champion on the images of ``evaluate``; the first champion needs
    the budget only. The old champion becomes ``previous``. PromotionError, and no alias moves, where the gate refuses.
    """
    challenger = _challenger(store, name) if version is None else get(store, name, version)
    champion = with_alias(store, name, CHAMPION)
    if champion is not None and champion.version == challenger.version:
        return Promotion(champion.version, None, None, None, f"Version {champion.version} is the champion already.")
    _require_budget(challenger, budget)
    challenger_acc = evaluate(load_version(store, challenger).module)
    champion_acc = None if champion is None else evaluate(load_version(store, champion).module)
    reason = _require_accuracy(challenger, challenger_acc, champion, champion_acc, max_acc_drop)
    if champion is not None:
        _move(store, champion, PREVIOUS)
    _move(store, challenger, CHAMPION)
    previous = None if champion is None else champion.version
    return Promotion(challenger.version, previous, challenger_acc, champion_acc, f"{reason} It fits {budget}.")


def rollback(store: Store, name: str) -> Version:
    """Give ``champion`` back to the previous version, and ``previous`` to the champion: twice changes nothing."""
    champion, previous = with_alias(store, name, CHAMPION), with_alias(store, name, PREVIOUS)
    if champion is None or previous is None or champion.version == previous.version:
        raise PromotionError(
            f"A rollback needs a champion and a previous version of {name}, but its aliases are "
            f"{aliases(store, name) or 'none'}. Promote a version with `helixnas promote`."
        )
    _move(store, previous, CHAMPION)
    _move(store, champion, PREVIOUS)
    return get(store, name, previous.version)


def delete(store: Store, name: str, version: int) -> None:
    """Delete a version that nobody relies on; PromotionError for the champion and the previous one."""
    doomed = get(store, name, version)
    held = [alias for alias in (CHAMPION, PREVIOUS) if alias in doomed.aliases]
    if held:
        remedy = "Run `helixnas rollback` or promote another version first."
        if held == [PREVIOUS]:
            remedy = "`helixnas rollback` needs it; promote another version first."
        raise PromotionError(
            f"A version to delete must not be in use, but version {version} is the {held[0]}. {remedy}"
        )
    store.client.delete_model_version(name, str(version))


def _challenger(store: Store, name: str) -> Version:
    challenger = with_alias(store, name, CHALLENGER)
    if challenger is None:
        raise PromotionError(f"A promotion needs a challenger, but {name} has none. Run `make run` to register one.")
    return challenger


def _require_budget(challenger: Version, budget: Budget) -> None:
    if budget.admits(challenger.cost):
        return
    costs = ", ".join(f"{name} {quantity(name, getattr(challenger.cost, name))}" for name in budget.limits)
    raise PromotionError(
        f"A champion must fit the budget {budget}, but version {challenger.version} takes {costs}. "
        "Run `make run` under this budget, or promote another version."
    )


def _require_accuracy(
    challenger: Version,
    challenger_acc: float,
    champion: Version | None,
    champion_acc: float | None,
    max_acc_drop: float,
) -> str:
    """Why the challenger passes, as a sentence; PromotionError if it does not."""
    if champion is None or champion_acc is None:
        return f"Version {challenger.version} reaches {challenger_acc:.4f} and is the first champion."
    if challenger_acc < champion_acc - max_acc_drop - 1e-9:
        raise PromotionError(
            f"A challenger must reach the champion's top-1 accuracy less {max_acc_drop:g}, but version "
            f"{challenger.version} has {challenger_acc:.4f} and the champion, version {champion.version}, has "
            f"{champion_acc:.4f} on the same images. Train a better one, or raise tracking.max_acc_drop in params.yaml."
        )
    return f"Version {challenger.version} reaches {challenger_acc:.4f}, version {champion.version} {champion_acc:.4f}."


def _move(store: Store, version: Version, alias: str) -> None:
    store.client.set_registered_model_alias(version.name, alias, str(version.version))
