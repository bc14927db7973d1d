"""Who is champion: a gate that a challenger must pass, a way back, and what may be deleted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helixnas.errors import PromotionError
from helixnas.results import Budget
from helixnas.telling import quantity
from helixnas.tracking.alias import CHALLENGER, CHAMPION, PREVIOUS
from helixnas.tracking.load import Loaded, load_version, require_seen
from helixnas.tracking.paired import Paired
from helixnas.tracking.store import Store, room
from helixnas.tracking.versions import Version, aliases, get, with_alias

Judge = Callable[[nn.Module], Tensor]
"""Which test images a module gets right, bool [N]."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that was granted. Accuracies and their comparison are this gate's, None where none was taken."""

    version: int
    previous: int | None
    challenger_acc: float | None
    champion_acc: float | None
    paired: Paired | None
    reason: str


@room()
def promote(
    store: Store,
    name: str,
    judge: Judge,
    digests: Tensor,
    *,
    budget: Budget,
    max_acc_drop: float,
    acc_name: str,
    version: int | None = None,
) -> Promotion:
    """Make the challenger, or ``version``, the champion, if it fits the budget and is accurate enough.

    The first champion needs the budget only, and so does one behind a champion whose files are damaged: there is
    nothing to compare with. The old champion becomes ``previous``.

    Args:
        store: Where the versions are.
        name: The registered model.
        judge: Says which test images a version gets right.
        digests: Of the test images, int64 [N].
        budget: What the new champion must fit.
        max_acc_drop: What it may lose of its accuracy against the champion (0 to 1).
        acc_name: What the accuracy is called in messages.
        version: Promoted in place of the challenger.

    Raises:
        PromotionError: The gate refuses, or a version has seen test images in training; then no alias moves.
    """
    challenger = _challenger(store, name) if version is None else get(store, name, version)
    champion = with_alias(store, name, CHAMPION)
    if champion is not None and champion.version == challenger.version:
        return Promotion(
            champion.version, None, None, None, None, f"Version {champion.version} is the champion already."
        )
    _require_budget(challenger, budget)
    loaded, damage = [load_version(store, challenger)], ""
    if champion is not None:
        try:
            loaded.append(load_version(store, champion))
        except PromotionError as error:
            damage = f" The champion of before could not be compared with: {error}"
    _require_unseen(loaded, digests)
    right = [judge(each.module) for each in loaded]
    challenger_acc, *others = (float(each.double().mean()) for each in right)
    previous = None if champion is None else champion.version
    if champion is None or damage:
        champion_acc, paired = None, None
        rank = "the champion" if damage else "the first champion"
        reason = f"Version {challenger.version} reaches {challenger_acc:.4f} {acc_name} and is {rank}.{damage}"
    else:
        (champion_acc,), paired = others, Paired.of(*right)
        both = (challenger, challenger_acc), (champion, champion_acc)
        reason = _require_accuracy(*both, paired, max_acc_drop, acc_name)
    if champion is not None:
        _move(store, champion, PREVIOUS)
    _move(store, challenger, CHAMPION)
    reason = f"{reason} It fits {budget}."
    return Promotion(challenger.version, previous, challenger_acc, champion_acc, paired, reason)


@room()
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


@room()
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
    costs = ", ".join(f"{name} {quantity(name, challenger.cost[name])}" for name in budget)
    raise PromotionError(
        f"A champion must fit the budget {budget}, but version {challenger.version} takes {costs}. "
        "Run `make run` under this budget, or promote another version."
    )


def _require_unseen(loaded: Sequence[Loaded], digests: Tensor) -> None:
    """PromotionError if one of the versions, challenger and champion, has seen test images in training."""
    num_seen = {
        each.version.version: int(torch.isin(digests, require_seen(each.version, each.seen)).sum()) for each in loaded
    }
    guilty = [number for number, num in num_seen.items() if num]
    if guilty:
        told = " and ".join(f"version {number} has seen {num_seen[number]} of {len(digests)}" for number in guilty)
        raise PromotionError(
            f"Versions must be compared on test images that neither has seen in training, but {told}. Set "
            f"data.split_seed to what it was in the run of version {guilty[-1]}, and `make run` again."
        )


def _require_accuracy(
    new: tuple[Version, float], old: tuple[Version, float], paired: Paired, max_acc_drop: float, acc_name: str
) -> str:
    """Why the challenger (``new``) passes, in sentences; PromotionError if it does not. Versions with accuracies."""
    (challenger, challenger_acc), (champion, champion_acc) = new, old
    if challenger_acc < champion_acc - max_acc_drop - 1e-9:
        raise PromotionError(
            f"A challenger must reach the champion's {acc_name} less {max_acc_drop:g}, but version "
            f"{challenger.version} has {challenger_acc:.4f} and the champion, version {champion.version}, has "
            f"{champion_acc:.4f} on the same images. {paired} Train a better one, or raise tracking.max_acc_drop in "
            "params.yaml."
        )
    return (
        f"Version {challenger.version} reaches {challenger_acc:.4f} {acc_name}, version {champion.version} "
        f"{champion_acc:.4f}. {paired}"
    )


def _move(store: Store, version: Version, alias: str) -> None:
    store.client.set_registered_model_alias(version.name, alias, str(version.version))
