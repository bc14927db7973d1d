"""Distil all blocks in two processes against one: each process takes the next block when it is done with one.

Features come from disk, as `teacher.features: auto` has it where it may, so that no work is done twice. Processes are
there before the clock starts, with their teacher and images; what they end with is compared to the bit.
Run: python benchmarks/distill_processes.py
"""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
from distilling import Bench, State, resnet, same, states
from figure import Figure, in_turns, publish

from helixnas.distill import FeatureBatches, train_group
from helixnas.progress import silent

NUM_ROUNDS, NUM_IMAGES, BATCH_SIZE, EPOCHS = 7, 256, 64, 3
_ready: list[tuple[Bench, FeatureBatches]] = []


def prepare(folder: str) -> None:
    bench = resnet(NUM_IMAGES, BATCH_SIZE, EPOCHS)
    batches = bench.batches()
    batches.fill(Path(folder), "bench")
    _ready.append((bench, batches))


def train(block_id: int) -> dict[str, object]:
    """A block's supernet, as arrays: tensors would be sent through shared memory of their own."""
    bench, batches = _ready[0]
    member = bench.member(block_id, batches.num_steps)
    train_group(member, [], batches, silent)
    return {name: tensor.numpy() for name, tensor in states([member])[0].items()}


def all_blocks(pool: ProcessPoolExecutor, num_blocks: int) -> list[State]:
    done = list(pool.map(train, range(num_blocks)))
    return [{name: torch.from_numpy(array) for name, array in state.items()} for state in done]


def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        num_blocks = len(_ready[0][0].block_ids)
        pools = [ProcessPoolExecutor(number, spawn, prepare, (folder,)) for number in (1, 2)]
        ways = [partial(all_blocks, pool, num_blocks) for pool in pools]
        in_turns(ways, 1)  # starts the processes
        rounds = in_turns(ways, NUM_ROUNDS)
        for pool in pools:
            pool.shutdown()
    assert all(same(one, two) for (_, one), (_, two) in rounds)
    publish(
        Figure(
            "2 processes on the blocks",
            "1 process",
            tuple(one_s / two_s for (one_s, _), (two_s, _) in rounds),
            goal=1.8,
            note="the default five blocks, features from disk, one thread a process; equal supernets to the bit",
        )
    )


if __name__ == "__main__":
    main()
