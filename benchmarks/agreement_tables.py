"""What the rating tables of a finished run are made of: updates a candidate, paths that learnt nothing, the house rule.

The rule: no cell that contains the identity rates worse than the identity after training. Run in a folder where
`make run` has ended: python benchmarks/agreement_tables.py
"""

import argparse
from collections import Counter
from pathlib import Path

from agreement import finished_run
from figure import Figure, publish

from helixnas.config import load
from helixnas.data import derive_seed
from helixnas.distill import SAMPLERS
from helixnas.handover.space import load_space
from helixnas.handover.tables import load_ratings
from helixnas.results import trained, worse_than_identity
from helixnas.search_space import BlockSpace


def num_updates(block: BlockSpace, sampler: str, updates: int, seed: int) -> list[int]:
    """How often each candidate of each layer of every cell is trained by the run's schedule."""
    draw = SAMPLERS[sampler](block, updates, derive_seed(seed, f"distill@{block.block_id}"))
    counts = Counter(
        (path.cell, layer, choice)
        for step in range(draw.num_steps)
        for path in draw(step)
        for layer, choice in enumerate(path.choices)
    )
    return list(counts.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    root = finished_run(parser.parse_known_args()[0].root)
    config = load(root)
    space = load_space(root, config)
    tables = list(zip(load_ratings(root, space), space.blocks, strict=True))
    settings = config.distill
    counts = [num_updates(block, settings.sampler, settings.updates, config.seed) for block in space.blocks]
    updates = [count for block in counts for count in block]
    told = [trained(table, block) for table, block in tables]
    worse = [cell for table, block in tables for cell in worse_than_identity(table, block)]
    num_paths = sum(each.num_paths for each in told)
    num_useful = sum(each.beat_constant or 0 for each in told)  # by the criterion `feature`, which knows the constant
    publish(
        Figure("updates of the candidate that has least", "4 before", (min(updates),), 100, ""),
        Figure("updates, most over least", "16 before", (max(updates) / min(updates),), 1.1, is_more_better=False),
        Figure(
            f"trained paths of {num_paths} that are worse than a constant",
            "30 of 78 in block 3 before",
            (num_paths - num_useful,),
            0,
            "",
            is_more_better=False,
            note="; ".join(f"block {each.block_id}: {each}" for each in told),
        ),
        Figure("cells with the identity that rate worse than it", "", (len(worse),), 0, "", is_more_better=False),
    )


if __name__ == "__main__":
    main()
