"""The pixels of a part: in one file that is mapped into memory, or decoded from their source when they are needed."""

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from helixnas import artifacts
from helixnas.data.decode import decode
from helixnas.data.files import Files
from helixnas.errors import DataError

Shape = tuple[int, int, int]
MAPPED, HEADER, KIND = "images.u8", "images.json", "packed"
CHECKED_BYTES = 2**26
"""Bytes of a mapped file that are read for its check: all of a small part, evenly spaced images of a large one."""
KEPT_BYTES, NUM_AT_ONCE = 2**26, 16
"""A larger file's pages are given back after so many images, each of which may have mapped 2^21 bytes around it."""


class Pixels(Protocol):
    """Images of one shape, read when they are needed."""

    @property
    def in_shape(self) -> Shape:
        """(channels, height, width) of one image."""
        ...

    def read(self, rows: Tensor) -> Tensor:
        """Read the images uint8 [B, C, H, W] of ``rows``, int64 [B]."""
        ...


class Packed:
    """Images in one array, uint8 [N, C, H, W], in memory or mapped into memory."""

    def __init__(self, images: NDArray[np.uint8] | Tensor, mapped: mmap.mmap | None = None) -> None:
        self._images: NDArray[np.uint8] = images.numpy() if isinstance(images, Tensor) else images
        self._mapped = mapped

    @classmethod
    def open(cls, folder: Path) -> "Packed":
        """Map the file that ``save_header`` described.

        The size is checked, and the digest of images evenly spaced over the file: of all images of a part up to
        CHECKED_BYTES. Each stage opens its parts, some of them several times, and to read 15 GB each time would take
        longer than many a stage. A change between these images is noticed by ``dvc status``, which reads all.

        Raises:
            ArtifactError: The file is missing, damaged, or of another part.
        """
        header, path = artifacts.load_json(folder / HEADER, KIND), folder / MAPPED
        shape = tuple(header["shape"])
        artifacts.must_exist(path)
        if path.stat().st_size != np.prod(shape, dtype=np.int64):
            raise artifacts.damaged(path, f"it has {path.stat().st_size} bytes, which is not the product of {shape}")
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        packed = cls(np.frombuffer(mapped, np.uint8).reshape(shape), mapped)
        if packed._digest() != header["sha256"]:
            raise artifacts.damaged(path, "it was changed after it was written: its checksum differs")
        return packed

    @property
    def in_shape(self) -> Shape:
        """(channels, height, width) of one image."""
        channels, height, width = self._images.shape[1:]
        return channels, height, width

    def read(self, rows: Tensor) -> Tensor:
        """Read the images uint8 [B, C, H, W] of ``rows``, int64 [B]."""
        if self._mapped is None or self._images.nbytes <= KEPT_BYTES:
            return torch.from_numpy(self._images[rows.numpy()])
        pieces = []
        for some in rows.split(NUM_AT_ONCE):
            pieces.append(torch.from_numpy(self._images[some.numpy()]))
            # else the process would come to hold the file; its pages stay in the system's cache
            self._mapped.madvise(mmap.MADV_DONTNEED)
        return torch.cat(pieces)

    def save_header(self, folder: Path) -> None:
        """Save the shape and the digest of the images, which lie in ``folder`` already, for ``open``."""
        artifacts.save_json(folder / HEADER, KIND, {"shape": list(self._images.shape), "sha256": self._digest()})

    def _digest(self) -> str:
        num_images, num_bytes = len(self._images), self._images[0].nbytes
        num_checked = min(num_images, max(1, CHECKED_BYTES // num_bytes))
        digest = hashlib.sha256()
        for rows in torch.linspace(0, num_images - 1, num_checked, dtype=torch.float64).long().split(256):
            digest.update(self.read(rows).numpy().tobytes())
        return digest.hexdigest()


class Decoded:
    """Images that are decoded from their source when they are needed, as the data stage decoded them.

    Args:
        files: Where each image lies.
        digests: int64 [N], of the images as they were decoded when the part was made.
        in_shape: (channels, height, width) of one image.
    """

    def __init__(self, files: Files, digests: Tensor, in_shape: Shape) -> None:
        self._files, self._digests, self.in_shape = files, digests, in_shape

    def read(self, rows: Tensor) -> Tensor:
        """Read the images uint8 [B, C, H, W] of ``rows``, int64 [B].

        Raises:
            DataError: A file is missing, or gives other pixels than when the part was made; the message names it.
        """
        return torch.stack([self._read(row) for row in rows.tolist()])

    def _read(self, row: int) -> Tensor:
        channels, size, _ = self.in_shape
        try:
            whole = decode(self._files.content(row), channels)
        except (OSError, ValueError) as error:
            reason = f"cannot be read ({' '.join(str(error).split())})"
        else:
            if image_digest(whole) == int(self._digests[row]):
                return square(whole, size)
            reason = "gives other pixels: its checksum differs"
        raise DataError(
            f"{self._files[row]} must be the image that the data stage read, but {reason}. Put it back, or run "
            "`dvc repro`, which makes the parts anew."
        )


def read_images(paths: Sequence[Path], in_shape: Shape) -> Tensor:
    """Read image files as uint8 [N, C, H, W], scaled to ``in_shape`` (C, H, W).

    Raises:
        DataError: A file is not a readable image; the message names it.
    """
    channels, size, _ = in_shape
    images = []
    for path in paths:
        try:
            images.append(square(decode(path, channels), size))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} must be a readable image, but: {error}. Leave it out, or mend it.") from error
    return torch.stack(images)


def square(image: Tensor, image_size: int) -> Tensor:
    """Cut the largest middle square out of one image, uint8 [C, H, W], and scale it to ``image_size`` pixels."""
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = image[:, top : top + side, left : left + side]
    if side == image_size:
        return middle
    scaled = interpolate(middle[None].float(), (image_size, image_size), mode="bilinear", antialias=True)[0]
    return scaled.round().clamp(0, 255).to(torch.uint8)


def image_digest(image: Tensor) -> int:
    """Return the digest of an image [C, H, W]: a hash of its decoded pixels and its shape, 64 bits as an int64."""
    pixels = hashlib.blake2b(str(tuple(image.shape)).encode())
    pixels.update(image.numpy().tobytes())
    return int.from_bytes(pixels.digest()[:8], "little", signed=True)
