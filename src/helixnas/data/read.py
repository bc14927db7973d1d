"""Read the image files that a user gives to ``helixnas predict``."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from helixnas.data.decode import decode
from helixnas.data.pixels import square
from helixnas.errors import DataError


def read_images(paths: Sequence[Path], in_shape: tuple[int, int, int]) -> Tensor:
    """Read image files as uint8 [N, C, H, W], scaled to ``in_shape`` (C, H, W).

    Raises:
        DataError: A file is not a readable image; the message names it.
    """
    channels, size, _ = in_shape
    return torch.stack([square(_read(path, channels), size) for path in paths])


def _read(path: Path, channels: int) -> Tensor:
    try:
        return decode(path, channels)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be a readable image, but: {error}. Leave it out, or mend it.") from error
