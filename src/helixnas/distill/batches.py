"""Make the batches on which blocks train: images through the frozen teacher, or through a cache of its features."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from helixnas.config.recipes import Augment
from helixnas.config.schema import Teacher
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet, ahead, derive_seed, epoch_batches, num_batches
from helixnas.errors import ConfigError
from helixnas.fit import Augmenter
from helixnas.teacher import BlockBatch, FeatureCache, block_batches, cut_features


class FeatureBatches:
    """Batches of augmented images as inputs and targets of blocks: the same for the same epoch, whichever blocks ask.

    ``fill`` keeps the features of each image and its mirror on disk; the batches are then the same to the bit.

    Args:
        teacher: The cut teacher whose features are the inputs and targets.
        train: The images of the train part.
        augment: The section of params.yaml that says how images are augmented.
        batch_size: Images in one batch.
        seed: Of the order of images and of their augmentation.
        device: Where the teacher runs, and where batches lie.
        num_loaders: How many workers augment images ahead of the step; see ``helixnas.fit.ahead``.
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
        """The cache that ``fill`` made; without a cache, each batch costs a pass of the teacher."""
        self.num_steps = num_batches(len(train), batch_size)

    def __call__(self, epoch: int, block_ids: Sequence[int]) -> Iterator[list[BlockBatch]]:
        """Yield, for each step of an epoch, one batch for each of ``block_ids``, from one pass of the teacher."""
        order = list(epoch_batches(len(self._train), self._batch_size, derive_seed(self._seed, "order", epoch)))
        seeds = [derive_seed(self._seed, "augment", epoch, offset) for offset in range(len(order))]
        if self.cache is not None:
            for rows, seed in zip(order, seeds, strict=True):
                views = self._augmenter.views(rows, len(self._train), seed)
                yield self.cache.batches(block_ids, views, self._device)
            return

        def augmented(offset: int) -> Tensor:
            return self._augmenter(self._train.read(order[offset]), seeds[offset])

        for images in ahead(augmented, range(len(order)), self._num_loaders):
            yield block_batches(self._teacher, block_ids, images.to(self._device))

    @property
    def num_views(self) -> int:
        """Number of views of the images where augmentation only flips: one per image, or two with mirrors."""
        return len(self._train) * (2 if self._augment.hflip else 1)

    def fill(self, root: Path, key: str) -> None:
        """Take batches from the cache ``key`` in ``root`` from now on; make the cache if it is not there.

        Args:
            root: Folder of caches.
            key: Must name all that features depend on but the views: images, teacher, its cut, the kind of device.
        """
        views = f"{key}-{self._batch_size}-{self.num_views // len(self._train)}"
        self.cache = FeatureCache.open(root, views, self.num_views, self._passes)

    def _passes(self) -> Iterator[list[Tensor]]:
        """Features of all views in order, in batches of an epoch's size, since kernels round otherwise at other sizes.

        The last batch is filled up with images from the front, whose second features are left out.
        """
        num_images, size = len(self._train), min(self._batch_size, len(self._train))
        for is_mirrored in (False, True)[: self.num_views // num_images]:
            for start in range(0, num_images, size):
                rows = torch.arange(start, start + size) % num_images
                images = self._train.normalized(rows)
                images = (images.flip(3) if is_mirrored else images).to(self._device)
                features = cut_features(self._teacher, images, len(self._teacher.blocks))
                yield [feature[: num_images - start] for feature in features]


def may_cache(settings: Teacher, augment: Augment, num_bytes: int, root: Path) -> bool:
    """Return whether features that take ``num_bytes`` are to be kept on disk.

    Args:
        settings: The section ``teacher`` of params.yaml.
        augment: How images are augmented; only flips can be cached.
        num_bytes: Size of all features.
        root: Folder of the cache, which may not exist yet; its disk must have room.

    Raises:
        ConfigError: ``teacher.features`` demands the cache and ``teacher.cache_gb`` forbids it.
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
    """Free bytes on the disk where ``root`` is or will be."""
    there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
