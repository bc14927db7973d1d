"""Does a member of the family order NATS-Bench's size space? Tau-b with the true CIFAR-10 accuracy of the dev networks.

The score of a network is the sum of the ratings of its three blocks. Beside it stands what needs no training at all:
the sum of the logarithms of the widths. BossNAS's published ratings reach 0.534 on all 32,768 networks.

It reads the rating tables in the folder of a run, of whichever member: the stages from custom to rating are enough.
Such a run of DNA++, with a ResNet-18 for the structure, takes hours on 2 cores:

    python -m flows --preset dnapp --set search_space.name=nats_size --set data.source=folder --set data.path=PATH \\
        --set teacher.source=timm:resnet18 --set 'teacher.model_args={channels:[16,16,32,64]}' \\
        --set 'teacher.block_ids=[0,1,2]' --set 'teacher.blocks=[[layer1,layer2],[layer3],[layer4]]' \\
        --set distill.siamese.pairs=8 --set data.image_size=32 --set search.budget.madds=null

Run in that folder: python benchmarks/agreement_nats.py --truth PATH/nats_size_cifar10_dev.csv
"""

import argparse
import math
import sys
from pathlib import Path

import pandas as pd
from figure import Figure, publish

from helixnas.agreement import interval, resampled_taus, tau
from helixnas.config import load
from helixnas.handover.space import load_space
from helixnas.handover.tables import load_ratings
from helixnas.search_space.spaces.nats_size import LAYER_STRIDES, WIDTHS

GOAL = 0.60
"""Of DNA++ alone."""


def predicted(root: Path, networks: pd.DataFrame) -> tuple[str, list[float]]:
    """The criterion of the tables, and the sum of the ratings of each network's blocks with its sign turned."""
    config = load(root)
    if config.search_space.name != "nats_size":
        sys.exit(f"error: search_space.name must be nats_size in {root.resolve()}, but is {config.search_space.name}.")
    tables = load_ratings(root, load_space(root, config))
    scores, first = [0.0] * len(networks), 0
    for table, strides in zip(tables, LAYER_STRIDES, strict=True):
        ratings = dict(zip(table.paths, table.ratings, strict=True))
        columns = [networks[f"c{index}"] for index in range(first, first + len(strides))]
        for row, widths in enumerate(zip(*columns, strict=True)):
            scores[row] -= ratings[f"0:{'.'.join(str(WIDTHS.index(width)) for width in widths)}"]
        first += len(strides)
    return tables[0].criterion, scores


def main() -> None:
    """Publish the tau of the run's ratings and of the trivial predictor."""
    parser = argparse.ArgumentParser(description="Rank agreement on NATS-Bench's size space.")
    parser.add_argument("--truth", type=Path, required=True, help="CSV with c0 to c4 and top1_acc")
    networks = pd.read_csv(parser.parse_known_args()[0].truth)
    criterion, scores = predicted(Path(), networks)
    widths = networks[[f"c{index}" for index in range(5)]]
    predictors = {criterion: scores, "log widths": [sum(map(math.log, row)) for row in widths.to_numpy().tolist()]}
    truth = networks["top1_acc"].tolist()
    taus = {name: tau(values, truth) for name, values in predictors.items()}
    intervals = {name: interval(resampled_taus(values, truth)) for name, values in predictors.items()}
    low, high = intervals["log widths"]
    beside = f"sum of log widths {taus['log widths']:.3f} (95 %: {low:.2f} to {high:.2f}), BossNAS 0.534 (published)"
    figure = Figure(
        f"tau of {criterion} on NATS size space",
        beside,
        (taus[criterion],),
        GOAL,
        "",
        interval=intervals[criterion],
        num=len(networks),
    )
    publish(figure)


if __name__ == "__main__":
    main()
