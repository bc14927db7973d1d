"""Image files that a user hands to ``helixnas predict``."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from helixnas.data.prepare import resize
from helixnas.errors import DataError

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_images(paths: Sequence[Path], in_shape: tuple[int, int, int]) -> Tensor:
    """The image files as uint8 [N, C, H, W], scaled to ``in_shape`` (C, H, W); DataError names an unreadable one."""
    channels, size, _ = in_shape
    if channels not in _MODES:
        raise DataError(f"An image file has 1, 3 or 4 channels, but the model takes {channels}.")
    return torch.cat([resize(_read(path, _MODES[channels]), size) for path in paths])


def _read(path: Path, mode: str) -> Tensor:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert(mode))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} must be a readable image, but: {error}. Leave it out, or mend it.") from error
    planes = torch.from_numpy(pixels)
    return (planes[None] if planes.ndim == 2 else planes.permute(2, 0, 1))[None]
