"""How well sums of blocks foretell the latency of whole files: 30 random architectures, before and after correction.

The correction is fitted as the search fits it, on 12 other architectures. Blocks, whole files and the teacher are
measured beside each other, in rounds.
Run in a project whose stages have run, or with its folder: python benchmarks/latency_sums.py [FOLDER]
"""

import contextlib
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch

from helixnas.config import load
from helixnas.cost import from_pixels, in_widths, machine, measure, path_subjects
from helixnas.data import load_in_shape
from helixnas.handover.space import load_space
from helixnas.handover.student import new_supernets
from helixnas.handover.teacher import load_teacher
from helixnas.progress import silent
from helixnas.search.closed_loop import TOLERANCE, Correction, Pair, fitted
from helixnas.search_space import Architecture, SearchSpace
from helixnas.student import assemble

NUM_FITTED, NUM_JUDGED = 12, 30
GOAL = 0.95
CPU = torch.device("cpu")


def random_architectures(space: SearchSpace, number: int) -> list[Architecture]:
    chance, found = random.Random(0), set()
    paths = [list(block.paths()) for block in space.blocks]
    while len(found) < number:
        architecture = Architecture(tuple(map(chance.choice, paths)))
        if space.joins(architecture):
            found.add(architecture)
    return sorted(found, key=lambda each: each.arch_id)


def measured_pairs() -> list[Pair]:
    """Sums and measurements of random architectures, in random order, of the project in this folder."""
    config = load(Path(), sys.argv[2:])
    space, teacher = load_space(Path(), config), load_teacher(Path(), config, CPU)
    in_shape = load_in_shape(Path("artifacts/data/train"))
    architectures = random_architectures(space, NUM_FITTED + NUM_JUDGED)
    random.Random(1).shuffle(architectures)
    supernets = new_supernets(space, teacher)
    subjects, rows = [], []
    for block, piece in zip(space.blocks, teacher.blocks, strict=True):
        for width in in_widths(space, block.block_id):
            rows += [(block.block_id, width, path.key) for path in block.paths_after(width)]
            subjects += path_subjects(block, width, piece, 1, CPU)
    images, features = torch.rand(1, *in_shape), torch.rand(1, *space.blocks[-1].spec.out_shape)
    subjects += [(from_pixels(teacher.stem), images), (teacher.head, features), (from_pixels(teacher.network), images)]
    for each in architectures:
        student = assemble(teacher.stem, supernets, teacher.head, each).eval()
        subjects.append((from_pixels(student), images))
    start = time.perf_counter()
    times = [cost["latency_ms"] for cost in measure(subjects, ["latency_ms"], config.cost, silent)]
    print(f"{len(subjects)} files exported and measured in {time.perf_counter() - start:.1f} s")
    table = dict(zip(rows, times[: len(rows)], strict=True))
    stem, head, whole_teacher, *wholes = times[len(rows) :]
    print(f"the teacher takes {whole_teacher:.3f} ms; {machine(CPU, config.cost)}, cores {os.cpu_count()}")
    pairs = []
    for each, whole in zip(architectures, wholes, strict=True):
        width, total = space.blocks[0].spec.in_width, stem + head
        for block, path in zip(space.blocks, each.paths, strict=True):
            total += table[block.block_id, width, path.key]
            width = block.out_width(path)
        pairs.append(Pair(each.arch_id, total, whole, 0))
    return pairs


def told(name: str, correction: Correction, pairs: list[Pair]) -> float:
    errors = np.array([abs(correction(pair.sum_ms) / pair.measured_ms - 1) for pair in pairs])
    share = float(np.mean(errors <= TOLERANCE))
    print(
        f"{name}: {share:.0%} within 10 % (median error {np.median(errors):.1%}, "
        f"worst {errors.max():.1%}, n = {len(pairs)})"
    )
    return share


def main() -> None:
    with contextlib.chdir(sys.argv[1] if len(sys.argv) > 1 else "."):
        pairs = measured_pairs()
    correction = fitted(pairs[:NUM_FITTED])
    judged = pairs[NUM_FITTED:]
    slow = max(pair.measured_ms for pair in judged)
    print(f"whole files take {min(pair.measured_ms for pair in judged):.3f} to {slow:.3f} ms")
    told("sums of blocks", Correction(), judged)
    share = told(
        f"{correction.scale:.3f} x sum {correction.offset_ms:+.3f} ms, fitted on {NUM_FITTED} others",
        correction,
        judged,
    )
    print(f"goal {GOAL:.0%}: {'met' if share >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
