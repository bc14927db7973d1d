"""Measuring by a clock that the runs themselves move: rounds are interleaved, the first is thrown away."""

import gc
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import nn

from helixnas.cost import machine
from helixnas.cost_kinds.latency_ms import KIND
from helixnas.progress import silent

Subject = tuple[nn.Module, torch.Tensor]
measure = KIND.measure


class Network(nn.Module):
    """Does what it is told, whatever comes in."""

    def __init__(self, run: Callable[[], object]) -> None:
        super().__init__()
        self._run = run

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self._run()
        return inputs


def subject(run: Callable[[], object]) -> Subject:
    return Network(run), torch.zeros(1)


class Clock:
    """Stands still until a run spends time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.order: list[str] = []

    def run(self, name: str, times_ms: Iterable[float]) -> Subject:
        """A network that takes each of the times in turn."""
        times: Iterator[float] = iter(times_ms)

        def run() -> None:
            self.order.append(name)
            self.now_ns += round(next(times) * 1e6)

        return subject(run)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("helixnas.cost_kinds.latency_ms.time.perf_counter_ns", lambda: clock.now_ns)
    return clock


def test_each_round_runs_everything_once_in_turn(clock: Clock) -> None:
    measure([clock.run(name, [1.0] * 4) for name in "abc"], 3, 0.5, silent)
    assert "".join(clock.order) == "abc" * 4  # one round to warm up


@pytest.mark.parametrize(
    ("quantile", "time_ms"), [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (1.0, 9.0), (0.125, 1.5), (0.2, 1.8)]
)
def test_a_time_is_the_quantile_of_the_rounds_in_ms(clock: Clock, quantile: float, time_ms: float) -> None:
    times = measure([clock.run("a", [0.1, 4.0, 9.0, 1.0, 2.0, 3.0])], 5, quantile, silent)  # 0.1 is thrown away
    assert times == pytest.approx([time_ms])


def test_each_run_has_its_own_time_in_the_order_given(clock: Clock) -> None:
    assert measure([clock.run(str(ms), [ms] * 3) for ms in (5.0, 0.002, 70.0)], 2, 0.2, silent) == [5.0, 0.002, 70.0]


def test_the_first_round_is_thrown_away_however_slow(clock: Clock) -> None:
    runs = [clock.run("a", [500.0, 1.0, 1.0]), clock.run("b", [900.0, 2.0, 2.0])]
    assert measure(runs, 2, 1.0, silent) == [1.0, 2.0]


def test_a_busy_minority_of_rounds_moves_no_time(clock: Clock) -> None:
    busy = [1.0] * 10
    busy[4:7] = [40.0, 50.0, 60.0]
    runs = [clock.run("a", busy), clock.run("b", [2 * ms for ms in busy])]
    assert measure(runs, 9, 0.2, silent) == [1.0, 2.0]


def test_what_passes_between_runs_is_nobodys_time(clock: Clock) -> None:
    def progress(done: int, total: int) -> None:
        clock.now_ns += 10**9

    assert measure([clock.run("a", [1.0] * 3)], 2, 1.0, progress) == [1.0]


def test_progress_counts_rounds_with_the_one_that_warms_up(clock: Clock) -> None:
    calls: list[tuple[int, int]] = []
    measure([clock.run("a", [1.0] * 3)], 2, 0.5, lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_no_garbage_is_collected_while_the_clock_runs() -> None:
    seen: list[bool] = []
    measure([subject(lambda: seen.append(gc.isenabled()))], 2, 0.5, silent)
    assert seen == [False] * 3
    assert gc.isenabled()


def test_a_run_that_fails_leaves_the_collector_on() -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([subject(fail)], 2, 0.5, silent)
    assert gc.isenabled()


def test_runs_are_measured_without_a_graph() -> None:
    seen: list[bool] = []
    measure([subject(lambda: seen.append(torch.is_inference_mode_enabled()))], 1, 0.5, silent)
    assert all(seen)


def test_a_network_that_does_more_takes_longer_by_the_real_clock() -> None:
    small, large = nn.Linear(8, 8), nn.Sequential(*(nn.Linear(512, 512) for _ in range(8)))
    times = measure([(small, torch.zeros(1, 8)), (large, torch.zeros(16, 512))], 5, 0.2, silent)
    assert 0 < times[0] < times[1]


def test_a_network_runs_on_its_own_inputs() -> None:
    seen: list[torch.Tensor] = []
    network, inputs = nn.Identity(), torch.rand(2, 3)
    network.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    measure([(network, inputs)], 1, 0.5, silent)
    assert len(seen) == 2
    assert all(each is inputs for each in seen)


def test_the_machine_is_told_in_words() -> None:
    facts = machine(torch.device("cpu"))
    assert facts["device"].startswith("cpu: ")
    assert len(facts["device"]) > len("cpu: ")
    assert facts["num_threads"] == str(torch.get_num_threads())
    assert facts["torch"] == torch.__version__


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_run_on_cuda_ends_with_its_work() -> None:
    network = nn.Sequential(*(nn.Linear(4096, 4096) for _ in range(16))).cuda()
    measure([(network, torch.rand(4096, 4096, device="cuda"))], 1, 0.5, silent)
    assert torch.cuda.current_stream().query()
