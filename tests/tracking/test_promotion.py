from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helixnas.errors import PromotionError
from helixnas.results import Budget
from helixnas.tracking import (
    CHAMPION,
    PREVIOUS,
    Paired,
    Promotion,
    Store,
    delete,
    load_model,
    promote,
    rollback,
    versions,
)
from helixnas.tracking.versions import aliases
from tests.tracking.conftest import DIGESTS, NAME, Add, evaluate, judge

BAD = 9.0  # a bias that is right for half of the images
BUDGET = Budget(madds=200.0)
NAMED = "top-1 accuracy"


def gate(store: Store, budget: Budget = BUDGET, max_acc_drop: float = 0.0, version: int | None = None) -> Promotion:
    options = {"budget": budget, "max_acc_drop": max_acc_drop, "acc_name": NAMED, "version": version}
    return promote(store, NAME, judge, DIGESTS, **options)


def test_the_first_champion_needs_the_budget_alone(add: Add, store: Store) -> None:
    add("a", bias=BAD)
    promotion = gate(store)
    assert (promotion.version, promotion.previous, promotion.challenger_acc, promotion.champion_acc) == (
        1,
        None,
        0.5,
        None,
    )
    assert aliases(store, NAME) == {"challenger": 1, CHAMPION: 1}


def test_the_first_champion_must_fit_the_budget(add: Add, store: Store) -> None:
    add("a", madds=201)
    with pytest.raises(PromotionError, match="budget madds <= 200, but version 1 takes madds 201"):
        gate(store)
    assert CHAMPION not in aliases(store, NAME)


def test_a_better_challenger_wins_and_the_old_champion_is_kept(add: Add, store: Store) -> None:
    add("a", bias=BAD)
    gate(store)
    add("b")
    promotion = gate(store)
    assert (promotion.version, promotion.previous) == (2, 1)
    assert (promotion.challenger_acc, promotion.champion_acc) == (1.0, 0.5)
    assert promotion.paired == Paired(5, 0, 0.0625)
    assert promotion.reason == (
        "Version 2 reaches 1.0000 top-1 accuracy, version 1 0.5000. Of the images that one alone has right, 5 are the "
        "challenger's and 0 the champion's (McNemar's exact test: p = 0.062). It fits madds <= 200."
    )
    assert aliases(store, NAME) == {"challenger": 2, CHAMPION: 2, PREVIOUS: 1}


def test_a_worse_challenger_is_refused_with_both_numbers_and_no_alias_moves(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    add("b", bias=BAD)
    before = aliases(store, NAME)
    with pytest.raises(
        PromotionError,
        match=r"version 2 has 0\.5000 and the champion, version 1, has 1\.0000 on .* 0 are the challenger's and 5 the",
    ):
        gate(store)
    assert aliases(store, NAME) == before


def test_a_challenger_may_lose_what_is_allowed_and_no_more(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    add("b", bias=BAD)
    with pytest.raises(PromotionError):
        gate(store, max_acc_drop=0.49)
    assert gate(store, max_acc_drop=0.5).version == 2


def test_both_are_judged_by_what_they_do_not_by_what_their_tags_say(add: Add, store: Store) -> None:
    add("a", bias=BAD)
    gate(store)
    store.client.set_model_version_tag(NAME, "1", "top1_acc", "1.0")
    add("b")
    assert gate(store).champion_acc == 0.5


def test_a_champion_that_challenges_stays_and_nothing_moves(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    before = aliases(store, NAME)

    def refuse(module: nn.Module) -> Tensor:
        raise AssertionError("judged for nothing")

    promotion = promote(store, NAME, refuse, DIGESTS, budget=BUDGET, max_acc_drop=0.0, acc_name=NAMED)
    assert promotion.reason == "Version 1 is the champion already."
    assert aliases(store, NAME) == before


def test_a_given_version_is_promoted_in_place_of_the_challenger(add: Add, store: Store) -> None:
    add("a")
    add("b")
    assert gate(store, version=1).version == 1


def test_a_version_that_does_not_exist_is_refused(add: Add, store: Store) -> None:
    add("a")
    with pytest.raises(PromotionError, match="Version 7 of student must be registered"):
        gate(store, version=7)


def test_without_a_challenger_there_is_nothing_to_promote(store: Store) -> None:
    with pytest.raises(PromotionError, match="needs a challenger, but student has none"):
        gate(store)


def test_a_rollback_can_be_rolled_back(add: Add, store: Store) -> None:
    add("a", bias=BAD)
    gate(store)
    add("b")
    gate(store)
    assert rollback(store, NAME).version == 1
    assert aliases(store, NAME) == {"challenger": 2, CHAMPION: 1, PREVIOUS: 2}
    assert evaluate(load_model(store, NAME, CHAMPION).module) == 0.5
    assert rollback(store, NAME).aliases == ("challenger", "champion")
    assert evaluate(load_model(store, NAME, CHAMPION).module) == 1.0


def test_without_a_previous_version_there_is_no_rollback(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    with pytest.raises(PromotionError, match="rollback needs a champion and a previous version"):
        rollback(store, NAME)


def test_delete_refuses_the_champion_and_the_previous_one(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    add("b")
    gate(store)
    with pytest.raises(PromotionError, match=r"version 2 is the champion\. Run `helixnas rollback`"):
        delete(store, NAME, 2)
    with pytest.raises(PromotionError, match="version 1 is the previous"):
        delete(store, NAME, 1)
    assert len(versions(store, NAME)) == 2


def test_delete_removes_a_version_that_nobody_relies_on(add: Add, store: Store) -> None:
    add("a")
    add("b")
    delete(store, NAME, 1)
    assert [version.version for version in versions(store, NAME)] == [2]
    with pytest.raises(PromotionError, match="There are: 2"):
        delete(store, NAME, 1)


@pytest.mark.parametrize(
    ("seen", "told", "blamed"),
    [
        ({"a": (3, 4, 5, 100)}, "version 1 has seen 3 of 10", 1),
        ({"b": (9, 50)}, "version 2 has seen 1 of 10", 2),
        ({"a": range(10), "b": (0,)}, "version 2 has seen 1 of 10 and version 1 has seen 10 of 10", 1),
    ],
)
def test_versions_that_have_seen_test_images_are_not_compared(
    add: Add, store: Store, seen: dict[str, Sequence[int]], told: str, blamed: int
) -> None:
    add("a", bias=BAD, seen=seen.get("a", ()))
    store.client.set_registered_model_alias(NAME, CHAMPION, "1")
    add("b", seen=seen.get("b", ()))
    before = aliases(store, NAME)
    with pytest.raises(PromotionError, match=rf", but {told}\. Set data\.split_seed .* of version {blamed}, and"):
        gate(store)
    assert aliases(store, NAME) == before


def test_the_first_champion_must_not_have_seen_the_test_images_either(add: Add, store: Store) -> None:
    add("a", seen=(3,))
    with pytest.raises(PromotionError, match=r"version 1 has seen 1 of 10"):
        gate(store)


def test_a_version_older_than_splits_is_refused_and_can_be_registered_anew(add: Add, store: Store) -> None:
    add("a", bias=BAD, seen=None)
    store.client.delete_model_version_tag(NAME, "1", "split")
    with pytest.raises(PromotionError, match=r"Version 1 of student .* registered before splits .* anew by `make run`"):
        gate(store)
    assert add("a", bias=BAD).version == 2
    assert gate(store).version == 2


@pytest.mark.parametrize(
    ("challenger", "champion", "paired"),
    [
        ("1100", "1010", Paired(1, 1, 1.0)),
        ("1111", "1111", Paired(0, 0, 1.0)),
        ("1" * 12, "1" + "0" * 11, Paired(11, 0, 2 / 2**11)),
        ("1" * 9 + "0", "0" * 9 + "1", Paired(9, 1, 2 * 11 / 2**10)),
    ],
)
def test_mcnemar_counts_what_one_alone_gets_right(challenger: str, champion: str, paired: Paired) -> None:
    right = [torch.tensor([digit == "1" for digit in text]) for text in (challenger, champion)]
    found = Paired.of(*right)
    assert (found.only_challenger, found.only_champion) == (paired.only_challenger, paired.only_champion)
    assert found.p_value == pytest.approx(paired.p_value)


def test_a_champion_whose_files_are_damaged_does_not_bar_the_way(add: Add, store: Store, root: Path) -> None:
    add("a")
    gate(store)
    (path,) = (root / "mlartifacts").rglob("model.pt2")
    path.write_bytes(b"")
    with pytest.raises(PromotionError, match=r"It is the champion: run `make run`, then `helixnas promote`"):
        load_model(store, NAME, CHAMPION)
    add("b", bias=BAD)  # worse, but there is nothing to compare it with
    promotion = gate(store)
    assert (promotion.version, promotion.previous, promotion.champion_acc) == (2, 1, None)
    assert "could not be compared with: Version 1 of student must load" in promotion.reason
    assert aliases(store, NAME)[CHAMPION] == 2
