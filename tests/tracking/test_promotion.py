import pytest
from torch import nn

from helixnas.errors import PromotionError
from helixnas.search_space import Budget
from helixnas.tracking import CHAMPION, PREVIOUS, Promotion, Store, delete, load_model, promote, rollback, versions
from helixnas.tracking.versions import aliases
from tests.tracking.conftest import NAME, Add, evaluate

BAD = 9.0  # a bias that is right for half of the images
BUDGET = Budget(madds=200.0)


def gate(store: Store, budget: Budget = BUDGET, max_acc_drop: float = 0.0, version: int | None = None) -> Promotion:
    return promote(store, NAME, evaluate, budget=budget, max_acc_drop=max_acc_drop, version=version)


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
    assert aliases(store, NAME) == {"challenger": 2, CHAMPION: 2, PREVIOUS: 1}


def test_a_worse_challenger_is_refused_with_both_numbers_and_no_alias_moves(add: Add, store: Store) -> None:
    add("a")
    gate(store)
    add("b", bias=BAD)
    before = aliases(store, NAME)
    with pytest.raises(PromotionError, match=r"version 2 has 0\.5000 and the champion, version 1, has 1\.0000"):
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

    def refuse(module: nn.Module) -> float:
        raise AssertionError("evaluated for nothing")

    promotion = promote(store, NAME, refuse, budget=BUDGET, max_acc_drop=0.0)
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
