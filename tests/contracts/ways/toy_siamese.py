"""A toy supervision without targets of a teacher, in the manner of DNA++ and BossNAS: an online and a target supernet.

Each path's output predicts the mean, over the step's paths, of what a moving average of the supernet says of another
view of the images.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helixnas.distill.batches import FeatureBatches
from helixnas.distill.supervision import Lesson, Sources, Supervision
from helixnas.search_space import Path
from helixnas.student import BlockSupernet


@dataclass(frozen=True)
class Views:
    first: Tensor
    second: Tensor


def embedded(maps: Tensor) -> Tensor:
    return nn.functional.normalize(maps.mean((2, 3)), dim=1)


class Twins(Lesson):
    def __init__(self, supernet: BlockSupernet) -> None:
        width = supernet.block.spec.out_width
        self._online = supernet
        self.beside = nn.ModuleDict(
            {"target": copy.deepcopy(supernet).requires_grad_(False), "predictor": nn.Linear(width, width)}
        )

    def losses(self, batch: Views, paths: Sequence[Path]) -> Iterator[Tensor]:
        with torch.no_grad():
            wanted = torch.stack([embedded(self.beside["target"](batch.second, path)) for path in paths]).mean(0)
        for path in paths:
            predicted = self.beside["predictor"](embedded(self._online(batch.first, path)))
            yield 1 - nn.functional.cosine_similarity(predicted, wanted).mean()

    def after_step(self, share: float) -> None:
        keep = 1 - 0.1 * (1 - share)
        with torch.no_grad():
            for mine, other in zip(self.beside["target"].parameters(), self._online.parameters(), strict=True):
                mine.lerp_(other, 1 - keep)


class Siamese(Supervision):
    def __init__(self, sources: Sources) -> None:
        settings = sources.settings
        self._images = FeatureBatches(
            sources.teacher, sources.train, settings.augment, settings.batch_size, sources.seed, sources.device
        )
        self.num_steps = self._images.num_steps

    def batches(self, epoch: int, block_ids: Sequence[int]) -> Iterator[list[Views]]:
        for each in self._images(epoch, block_ids):
            yield [Views(batch.inputs, batch.inputs.flip(3)) for batch in each]

    def lesson(self, supernet: BlockSupernet) -> Twins:
        return Twins(supernet)


def new(sources: Sources) -> Siamese:
    return Siamese(sources)
