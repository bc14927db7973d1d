"""The loop against files that behave as the loop assumes, and as it does not."""

from collections.abc import Callable, Sequence

import pytest

from helixnas.errors import InfeasibleBudgetError
from helixnas.results import Budget
from helixnas.search import ExactResult, Loop, close_loop, loop_from_json, pricer, solve
from helixnas.search.closed_loop import KIND, Correction, Pair, Tables, fitted
from helixnas.search_space import Architecture
from tests.search.conftest import Instance, make_instance


def pairs(sums: Sequence[float], file_ms: Callable[[float], float]) -> list[Pair]:
    return [Pair(str(index), sum_ms, file_ms(sum_ms), 0) for index, sum_ms in enumerate(sums)]


def test_an_affine_relation_is_found_despite_one_file_at_a_busy_moment() -> None:
    given = pairs([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], lambda ms: 0.95 * ms - 0.06)
    given[3] = Pair("busy", 0.8, 3.0, 0)
    found = fitted(given)
    assert found.scale == pytest.approx(0.95, abs=1e-6)
    assert found.offset_ms == pytest.approx(-0.06, abs=1e-6)


def test_few_files_or_a_falling_line_give_a_ratio() -> None:
    assert fitted(pairs([1.0, 2.0], lambda ms: 0.8 * ms)) == Correction(0.8, 0.0)
    falling = fitted(pairs([1.0, 2.0, 4.0], lambda ms: 8 / ms))
    assert falling.offset_ms == 0.0
    assert falling.scale > 0


def closed(file_ms: Callable[[float], float], share: float, num_rounds: int = 3) -> tuple[Loop, Instance, float]:
    """The loop in a random space, under a limit on the file that is ``share`` of the slowest file's latency."""
    instance = make_instance(3, 4, 6, is_coarse=False)
    true_ms = {c.architecture: file_ms(c.cost[KIND]) for c in instance.everything}
    limit_ms = share * max(true_ms.values())

    def solve_by(tables: Tables, limits: Budget) -> ExactResult:
        return solve(instance.space, instance.ratings, *tables, limits, 1, 60)

    def measure(architectures: Sequence[Architecture]) -> list[float]:
        return [true_ms[each] for each in architectures]

    tables = (instance.costs, instance.fixed)
    return close_loop(solve_by, measure, tables, Budget({KIND: limit_ms}), num_rounds), instance, limit_ms


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_best_of_all_whose_files_fit_is_found_though_sums_say_too_much(share: float) -> None:
    def file_ms(sum_ms: float) -> float:
        return 0.8 * sum_ms - 0.05

    loop, instance, limit_ms = closed(file_ms, share)
    assert loop.has_fit
    assert loop.pairs[-1].measured_ms <= limit_ms
    assert loop.pairs[-1].round == 1
    assert len(loop.pairs) > 5
    fitting = [choice for choice in instance.everything if file_ms(choice.cost[KIND]) <= limit_ms]
    best = min(fitting, key=lambda choice: choice.predicted_loss)
    assert loop.pairs[-1].arch_id == best.architecture.arch_id
    assert loop.share_within(corrected=True) == 1.0
    assert loop.share_within(corrected=False) < 0.5
    assert loop_from_json(loop.as_json()) == loop


def test_a_student_that_misses_lowers_the_limit_until_one_fits() -> None:
    loop, _, limit_ms = closed(lambda ms: ms + (0.15 if int(ms * 1000) % 2 else 0.0), 0.5, 20)
    assert loop.has_fit
    assert loop.pairs[-1].measured_ms <= limit_ms


def test_rounds_end_though_nothing_fits() -> None:
    instance_calls = [0]

    def never(ms: float) -> float:
        instance_calls[0] += 1
        return ms

    loop, instance, _ = closed(never, 0.9, 1)
    assert loop.pairs[-1].round == 1
    tables = (instance.costs, instance.fixed)

    def solve_by(given: Tables, limits: Budget) -> ExactResult:
        return solve(instance.space, instance.ratings, *given, limits, 1, 60)

    rounds = iter([1.0] + [50.0] * 9)

    def measure(architectures: Sequence[Architecture]) -> list[float]:
        price, factor = pricer(instance.space, instance.ratings, *tables), next(rounds)
        return [factor * price(each).cost[KIND] for each in architectures]

    limit = 0.6 * max(choice.cost[KIND] for choice in instance.everything)
    loop = close_loop(solve_by, measure, tables, Budget({KIND: limit}), 3)
    assert not loop.has_fit
    assert max(pair.round for pair in loop.pairs) <= 3


def test_a_limit_below_all_files_is_told() -> None:
    with pytest.raises(InfeasibleBudgetError, match="latency_ms"):
        closed(lambda ms: ms, 0.001)
