"""Rounds are interleaved, the first is thrown away, and a turn of a round is the median of a few passes."""

import gc
from collections.abc import Callable, Iterable

import pytest

from helixnas.cost_kinds.latency_ms import KIND, NUM_TIMED, NUM_WARM, TURN_MS
from helixnas.progress import silent

measure = KIND.measure
NUM_PASSES = NUM_WARM + NUM_TIMED


def rounds(times_ms: Iterable[float]) -> Callable[[], float]:
    """A network whose passes take each of the times for one turn."""
    passes = iter([ms for ms in times_ms for _ in range(NUM_PASSES)])
    return lambda: next(passes)


def test_each_round_gives_everything_one_turn() -> None:
    order: list[str] = []
    runs = [lambda name=name: order.append(name) or 1.0 for name in "abc"]  # type: ignore[misc]
    measure(runs, 3, 0.5, silent)
    assert "".join(order) == "".join(name * NUM_PASSES for name in "abc") * 4  # one round to warm up


@pytest.mark.parametrize(
    ("quantile", "time_ms"), [(0.0, 0.1), (0.25, 0.2), (0.5, 0.3), (1.0, 0.9), (0.125, 0.15), (0.2, 0.18)]
)
def test_a_time_is_the_quantile_of_the_rounds(quantile: float, time_ms: float) -> None:
    times = measure([rounds([0.01, 0.4, 0.9, 0.1, 0.2, 0.3])], 5, quantile, silent)  # 0.01 is thrown away
    assert times == pytest.approx([time_ms])


def test_each_run_has_its_own_time_in_the_order_given() -> None:
    assert measure([rounds([ms] * 3) for ms in (0.5, 0.002, 0.7)], 2, 0.2, silent) == [0.5, 0.002, 0.7]


def test_a_busy_minority_of_rounds_moves_no_time() -> None:
    busy = [0.1] * 10
    busy[4:7] = [1.0, 1.1, 1.2]
    assert measure([rounds(busy), rounds([ms / 2 for ms in busy])], 9, 0.2, silent) == [0.1, 0.05]


def test_the_passes_that_warm_caches_do_not_count() -> None:
    turn = [9.0] * NUM_WARM + [0.1] * NUM_TIMED
    passes = iter(turn * 2)
    assert measure([lambda: next(passes)], 1, 0.5, silent) == [0.1]


def test_a_long_pass_is_not_repeated() -> None:
    seen: list[int] = []
    assert measure([lambda: seen.append(1) or TURN_MS], 1, 0.5, silent) == [TURN_MS]  # type: ignore[func-returns-value]
    assert len(seen) == 2


def test_progress_counts_rounds_with_the_one_that_warms_up() -> None:
    calls: list[tuple[int, int]] = []
    measure([lambda: 1.0], 2, 0.5, lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_no_garbage_is_collected_while_the_clock_runs() -> None:
    seen: list[bool] = []
    measure([lambda: seen.append(gc.isenabled()) or 20.0], 2, 0.5, silent)  # type: ignore[func-returns-value]
    assert seen == [False] * 3
    assert gc.isenabled()


def test_a_run_that_fails_leaves_the_collector_on() -> None:
    def fail() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([fail], 2, 0.5, silent)
    assert gc.isenabled()
