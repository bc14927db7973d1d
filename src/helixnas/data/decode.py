"""Image files and bytes as tensors."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from helixnas.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def decode(file: Path | bytes, channels: int) -> Tensor:
    """One image as uint8 [C, H, W], turned as its EXIF says. OSError or ValueError where it cannot be read."""
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            return to_tensor(ImageOps.exif_transpose(image).convert(mode(channels)))
    except (SyntaxError, Image.DecompressionBombError) as error:  # how Pillow refuses a broken or a monstrous file
        raise ValueError(str(error)) from error


def to_tensor(image: Image.Image) -> Tensor:
    """A Pillow image as uint8 [C, H, W]."""
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def mode(channels: int) -> str:
    """Pillow's name for images of so many channels; DataError where an image file cannot have them."""
    if channels not in MODES:
        raise DataError(f"An image file has 1, 3 or 4 channels, but {channels} are asked for. Change data.channels.")
    return MODES[channels]


def guess_channels(files: Sequence[Path | bytes]) -> int:
    """1 if the first readable image is grey, else 3."""
    for file in files:
        try:
            with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
                return 1 if image.mode in ("1", "L", "I", "I;16", "F") else 3
        except OSError:
            continue
    return 3
