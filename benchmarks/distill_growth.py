"""How distilling grows: blocks, candidates or depth doubled. Time should follow the sum over blocks, memory stay flat.

Each case runs in a process of its own, which trains its blocks in turn, features given, and tells its seconds and its
peak of memory. Figures are ratios to the first case: of time over the sum over blocks of their depth (a step runs one
candidate a layer, so more candidates add nothing to it), and of the peak. 1 is as promised.
Run: python benchmarks/distill_growth.py
"""

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from distilling import ROOT, Nowhere
from figure import Figure, publish

from helixnas.blocks import BlockSpec
from helixnas.config import load
from helixnas.distill import Distillation, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.progress import forget, silent
from helixnas.search_space import build
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss

NUM_ROUNDS, NUM_STEPS = 2, 10
SHAPE = (32, 16, 16)


@dataclass(frozen=True)
class Case:
    """So many equal blocks, kernels to choose from, layers in a block."""

    num_blocks: int = 3
    kernels: tuple[int, ...] = (3, 5)
    depth: int = 2

    @property
    def work(self) -> int:
        return self.num_blocks * self.depth


FIRST = Case()
DOUBLED = {"blocks": Case(num_blocks=6), "candidates": Case(kernels=(3, 5, 7, 9)), "depth": Case(depth=4)}


def measure(case: Case) -> tuple[float, int]:
    """Seconds of all blocks' steps, and the process's peak of memory."""
    torch.set_num_threads(1)
    layers = "search_space.fewer_layers=false", f"search_space.cells=[{{depth:{case.depth},width:1.0}}]"
    config = load(ROOT, [*layers, "search_space.expansions=[3]", "distill.sampler=uniform", "distill.lr=0.001"])
    kernels = {"kernels": list(case.kernels)}
    specs = [BlockSpec(block_id, SHAPE, SHAPE, "NCHW", ("m",)) for block_id in range(case.num_blocks)]
    space = build(specs, config.search_space.model_copy(update=kernels))
    x = torch.randn(32, *SHAPE).to(memory_format=torch.channels_last)
    seconds = 0.0
    for block in space.blocks:
        supernet = BlockSupernet(block, torch.nn.Identity()).to(memory_format=torch.channels_last)
        lesson = Imitation(supernet, DistillLoss(torch.ones(1)))
        training = Distillation(supernet, block, lesson, config.distill, 0, NUM_STEPS)
        training._sampler.num_steps = NUM_STEPS
        start = time.perf_counter()
        train_group(Member(training, Nowhere(), forget), [], lambda *_: [[BlockBatch(x, x)]] * NUM_STEPS, silent)
        seconds += time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def alone(case: Case) -> tuple[float, int]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, case).result()


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in DOUBLED}
    peaks: dict[str, list[float]] = {name: [] for name in DOUBLED}
    for _ in range(NUM_ROUNDS):
        first_s, first_peak = alone(FIRST)
        for name, case in DOUBLED.items():
            seconds, peak = alone(case)
            times[name].append(seconds / first_s / (case.work / FIRST.work))
            peaks[name].append(peak / first_peak)
    publish(
        *(
            Figure(f"{name} doubled, {what}", rival, tuple(values[name]), goal, is_more_better=False)
            for name in DOUBLED
            for what, rival, values, goal in (
                (
                    "time over the sum over blocks",
                    "3 blocks, 2 candidates, 2 layers, and the layers of all blocks",
                    times,
                    1.2,
                ),
                ("peak of memory", "3 blocks, 2 candidates, 2 layers", peaks, 1.2),
            )
        )
    )


if __name__ == "__main__":
    main()
