"""Apply timm's training transform to batches of uint8 images, with pinned randomness."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from helixnas.config.recipes import Augment
from helixnas.data import normalize
from helixnas.errors import ConfigError


@contextmanager
def pinned(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch for the body, then restore their states.

    timm's transforms and a network's dropout draw from these generators and take no generator of their own.
    """
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


class Augmenter:
    """Random crops, flips and the rest of timm's recipe; the same seed gives the same batch.

    Args:
        settings: The section of params.yaml that says how images are augmented.
        image_size: Height and width of augmented images in pixels.
        mean: Of each channel, for normalising.
        std: Deviation of each channel, for normalising.

    Raises:
        ConfigError: timm does not know the policy in ``augment.rand_augment``.
    """

    def __init__(self, settings: Augment, image_size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._settings, self._mean, self._std = settings, mean, std
        self._transform = _transform(settings, image_size, mean, std) if settings.beyond_flips else None

    def __call__(self, images: Tensor, seed: int) -> Tensor:
        """Augment and normalise uint8 images [B, C, H, W] to float32.

        Args:
            images: uint8, [B, C, H, W].
            seed: Of all random numbers of this batch.
        """
        if self._transform is None:  # flips alone: the same bits without PIL, some 30 times as fast
            plain = normalize(images, self._mean, self._std)
            return torch.where(self.flips(len(images), seed).view(-1, 1, 1, 1), plain.flip(3), plain)
        with pinned(seed):
            return torch.stack([self._transform(image) for image in images])

    def views(self, rows: Tensor, num_images: int, seed: int) -> Tensor:
        """Return the view of each row, int64 [B], where augmentation only flips: the row of its image or of its mirror.

        Example: with 100 images, row 7 gives view 7, or view 107 where the image is mirrored.

        Args:
            rows: Of the images of a batch, int64 [B].
            num_images: Size of the part to which the rows belong. Mirrors are counted behind the images.
            seed: Of the batch.
        """
        return rows + num_images * self.flips(len(rows), seed)

    def flips(self, num_images: int, seed: int) -> Tensor:
        """Return which images of a batch are mirrored, bool [num_images], where augmentation only flips."""
        with pinned(seed):
            return torch.cat([torch.rand(1) for _ in range(num_images)]) < self._settings.hflip


def _transform(
    settings: Augment, image_size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Callable[[Tensor], Tensor]:
    """Timm's training transform of one uint8 image [C, H, W]."""
    from timm.data import create_transform  # takes seconds to load, and flips alone need none of it
    from torchvision.transforms.functional import to_pil_image

    try:
        transform = create_transform(
            input_size=image_size,
            is_training=True,
            scale=(settings.min_scale, 1.0),
            hflip=settings.hflip,
            color_jitter=None,
            auto_augment=settings.rand_augment,
            interpolation="bilinear",
            mean=mean,
            std=std,
            re_prob=settings.random_erasing,
        )
    except (AssertionError, KeyError, ValueError) as error:
        raise ConfigError(
            "augment.rand_augment must be a policy of timm such as 'rand-m9-mstd0.5', or null, "
            f"but is {settings.rand_augment!r}."
        ) from error
    return lambda image: transform(to_pil_image(image))
