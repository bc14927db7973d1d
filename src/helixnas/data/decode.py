"""Decode image files and bytes into tensors.

Each kind of picture, by Pillow's modes, is treated as follows:

- 8 bits (1, L, P, RGB, CMYK, YCbCr, LAB, HSV ...) are converted as Pillow does. Transparency is kept where 4 channels
  are asked for; else it is dropped, and the colour underneath shows.
- 16 bits are divided by 257.
- Floats from 0 to 1 are multiplied by 255. Other floats, and 32-bit integers, whose type says nothing of their range,
  are scaled so that the least pixel of the image becomes 0 and the greatest 255; an image of one value becomes black.
- Of an animation the first frame is taken. A photograph is turned as its EXIF says.
- Unreadable are images with a pixel that is NaN or infinite, without pixels, or of more pixels than Pillow opens.
"""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from helixnas.data.listing import require_regular
from helixnas.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
UINT16_MAX = 2**16 - 1


def decode(file: Path | bytes, channels: int) -> Tensor:
    """Decode one image as uint8 [C, H, W], with ``channels`` channels.

    Raises:
        OSError: The file cannot be read.
        ValueError: The content is no image that can be decoded.
        DataError: An image file cannot have so many channels.
    """
    wanted = mode(channels)
    with reading(), _open(file) as image:
        upright = ImageOps.exif_transpose(image)
        upright.format = image.format
        return to_tensor(upright, wanted)


@contextmanager
def reading() -> Iterator[None]:
    """Turn every exception of Pillow into an OSError or a ValueError, since a broken file can cause any exception.

    Pillow's warnings are silenced.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError as error:  # its own text holds an address in memory
        raise ValueError("it is no image that Pillow knows") from error
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _open(file: Path | bytes) -> Image.Image:
    if isinstance(file, bytes):
        return Image.open(io.BytesIO(file))
    require_regular(file)
    return Image.open(file)


def to_tensor(image: Image.Image, wanted: str) -> Tensor:
    """Convert a Pillow image to uint8 [C, H, W].

    Args:
        image: Of any mode.
        wanted: Pillow's mode of the result, such as ``RGB``.

    Raises:
        ValueError: The image has no pixels, or some that are NaN or infinite.
    """
    if 0 in image.size:
        raise ValueError("it has no pixels")
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        pixels = np.array(image)
        has_16_bits = image.mode.startswith("I;") or image.format == "PPM"  # PPM has at most 16 bits
        image = Image.fromarray(to_bytes(pixels, *((0, UINT16_MAX) if has_16_bits else span(pixels))))
    elif image.mode == "LAB":
        image = image.convert("RGB")  # Pillow turns LAB into grey only by way of RGB
    pixels = np.array(image.convert(wanted))
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def span(pixels: np.ndarray) -> tuple[float, float]:
    """Return the numbers that stand for black and for white, by the type of the pixels and by their range."""
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "b" or (kind == "u" and size <= 2):
        return 0, 2 ** (8 * size) - 1 if kind == "u" else 1
    finite = pixels[np.isfinite(pixels)] if kind == "f" else pixels
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (0.0, 1.0) if kind == "f" and low >= 0 and high <= 1 else (low, high)


def to_bytes(pixels: np.ndarray, black: float, white: float) -> np.ndarray:
    """Scale pixels to uint8, ``black`` to 0 and ``white`` to 255; ValueError for pixels that are NaN or infinite."""
    halves = pixels.astype(np.float64) / 2  # the difference of two whole ones may be infinite
    if not np.isfinite(halves).all():
        raise ValueError("it has pixels that are NaN or infinite")
    shares = (halves - black / 2) / ((white / 2 - black / 2) or 1)
    scaled: np.ndarray = (shares * 255).round().astype(np.uint8)
    return scaled


def mode(channels: int) -> str:
    """Return Pillow's mode for ``channels`` channels; DataError where an image file cannot have so many."""
    if channels not in MODES:
        raise DataError(f"An image file has 1, 3 or 4 channels, but {channels} are asked for. Change data.channels.")
    return MODES[channels]


def guess_channels(files: Iterable[Path | bytes]) -> int:
    """Return 1 if the first readable image is grey, else 3."""
    for file in files:
        with suppress(OSError, ValueError), reading(), _open(file) as image:
            return num_channels(image)
    return 3


def num_channels(image: Image.Image) -> int:
    """Return 1 for a grey image of any depth, 3 for any other."""
    return 1 if Image.getmodebase(image.mode) == "L" else 3
