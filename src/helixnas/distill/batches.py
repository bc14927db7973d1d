"""What blocks train on: epochs of images through the frozen teacher, or through a cache of what it gave."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from helixnas.config.schema import Augment, Teacher
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet, derive_seed, epoch_batches, normalize, num_batches
from helixnas.errors import ConfigError
from helixnas.fit import Augmenter, ahead
from helixnas.teacher import BlockBatch, FeatureCache, block_batches, cut_features


class FeatureBatches:
    """Batches of augmented images as blocks see them, the same for the same epoch, whichever blocks ask.

    ``fill`` keeps the features of each image and its mirror on disk; the batches are then the same to the bit.
    """

    def __init__(
        self,
        teacher: CutTeacher,
        train: ImageSet,
        augment: Augment,
        batch_size: int,
        seed: int,
        device: torch.device,
        num_loaders: int = 0,
    ) -> None:
        self._teacher, self._train, self._augment, self._device = teacher, train, augment, device
        self._augmenter = Augmenter(augment, train.in_shape[1], train.mean, train.std)
        self._batch_size, self._seed, self._num_loaders = batch_size, seed, num_loaders
        self.cache: FeatureCache | None = None
        """What ``fill`` made; without it, each batch costs a pass of the teacher."""
        self.num_steps = num_batches(len(train), batch_size)

    def __call__(self, epoch: int, block_ids: Sequence[int]) -> Iterator[list[BlockBatch]]:
        """The steps of an epoch: one batch for each of ``block_ids``, from one pass of the teacher."""
        order = list(epoch_batches(len(self._train), self._batch_size, derive_seed(self._seed, "order", epoch)))
        seeds = [derive_seed(self._seed, "augment", epoch, offset) for offset in range(len(order))]
        if self.cache is not None:
            for rows, seed in zip(order, seeds, strict=True):
                views = self._augmenter.views(rows, len(self._train), seed)
                yield self.cache.batches(block_ids, views, self._device)
            return

        def augmented(offset: int) -> Tensor:
            return self._augmenter(self._train.images[order[offset]], seeds[offset])

        for images in ahead(augmented, range(len(order)), self._num_loaders):
            yield block_batches(self._teacher, block_ids, images.to(self._device))

    @property
    def num_views(self) -> int:
        """How many views of images there are, where augmentation does no more than flip."""
        return len(self._train) * (2 if self._augment.hflip else 1)

    def fill(self, root: Path, key: str) -> None:
        """Take batches from the cache ``key`` in ``root`` from now on; it is made if it is not there.

        ``key`` must name all that features depend on but the views: images, teacher, its cut, the kind of device.
        """
        views = f"{key}-{self._batch_size}-{self.num_views // len(self._train)}"
        self.cache = FeatureCache.open(root, views, self.num_views, self._passes)

    def _passes(self) -> Iterator[list[Tensor]]:
        """All views in order, in batches as large as those of an epoch: a kernel may round otherwise for another size.

        The last batch is filled up from the front, and what is there twice left out.
        """
        num_images, size = len(self._train), min(self._batch_size, len(self._train))
        for is_mirrored in (False, True)[: self.num_views // num_images]:
            for start in range(0, num_images, size):
                rows = torch.arange(start, start + size) % num_images
                images = normalize(self._train.images[rows], self._train.mean, self._train.std)
                images = (images.flip(3) if is_mirrored else images).to(self._device)
                features = cut_features(self._teacher, images, len(self._teacher.blocks))
                yield [feature[: num_images - start] for feature in features]


def may_cache(settings: Teacher, augment: Augment, num_bytes: int, root: Path) -> bool:
    """Whether features that take ``num_bytes`` are to be kept in ``root``.

    ConfigError if ``teacher.features`` demands it and ``teacher.cache_gb`` forbids it.
    """
    if settings.features == "stream" or augment.beyond_flips:
        return False
    fits = num_bytes <= settings.cache_gb * 1e9
    if settings.features == "cache":
        if not fits:
            raise ConfigError(
                f"teacher.cache_gb must hold the teacher's features, {num_bytes / 1e9:.3g} GB, but is "
                f"{settings.cache_gb:g}. Raise it, or set teacher.features: stream."
            )
        return True
    return fits and num_bytes < _free_bytes(root)


def _free_bytes(root: Path) -> int:
    """On the disk where ``root`` is or will be."""
    there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
