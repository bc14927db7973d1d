"""Keep the teacher's features at every cut on disk, memory-mapped by every process that trains a block.

The cache is pure speed, outside DVC: the files hold the features of the teacher to the bit, and may be deleted at any
time.
"""

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helixnas import artifacts
from helixnas.artifacts import exclusive
from helixnas.blocks import BlockSpec
from helixnas.errors import ArtifactError, EnvironmentFault
from helixnas.teacher.features import BlockBatch

INDEX, KIND = "index.json", "feature-cache"
Passes = Callable[[], Iterator[Sequence[Tensor]]]
"""Function to the features at each cut, for one batch of images after another, in the order of the rows to write."""


def feature_bytes(specs: Sequence[BlockSpec], num_images: int) -> int:
    """Return the size in bytes of the features of so many images at every cut, in float32."""
    shapes = [specs[0].in_shape, *(spec.out_shape for spec in specs)]
    return 4 * num_images * sum(map(math.prod, shapes))


class FeatureCache:
    """Rows of features, with one file for each cut; ``open`` finds the files or makes them.

    Args:
        folder: The folder of the files.
        is_channels_last: For each cut, whether its file holds maps as [N, H, W, C].
    """

    def __init__(self, folder: Path, is_channels_last: Sequence[bool]) -> None:
        self._cuts = [np.load(_file(folder, cut), mmap_mode="r") for cut in range(len(is_channels_last))]
        self._is_channels_last = is_channels_last

    @classmethod
    def open(cls, root: Path, key: str, num_rows: int, passes: Passes) -> "FeatureCache":
        """Open the cache ``key`` in ``root`` after a check of its checksums; write it where it is missing or damaged.

        Processes that ask at once wait for the process that writes. Caches under other keys are deleted first, so that
        ``root`` never holds more than one cache.

        Args:
            root: Folder of caches.
            key: Name of the cache.
            num_rows: Number of rows that the passes give together.
            passes: Makes the features, where they must be written.

        Raises:
            EnvironmentFault: The disk has no room for the features.
        """
        with exclusive(root / "lock"):
            formats = _checked(root / key)
            if formats is None:
                for path in root.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                formats = _write(root / key, num_rows, passes())
            return cls(root / key, formats)

    def batches(self, block_ids: Sequence[int], rows: Tensor, device: torch.device) -> list[BlockBatch]:
        """Read the inputs and targets of some blocks for some rows, int64 [B], and put them on ``device``."""
        cuts = sorted({cut for block_id in block_ids for cut in (block_id, block_id + 1)})
        features = {cut: self._read(cut, rows).to(device) for cut in cuts}
        return [BlockBatch(features[block_id], features[block_id + 1]) for block_id in block_ids]

    def outputs(self, rows: Tensor, device: torch.device) -> list[Tensor]:
        """Read the output of every block, Y_1 to the last, for some rows, int64 [B], and put it on ``device``."""
        return [self._read(cut, rows).to(device) for cut in range(1, len(self._cuts))]

    def _read(self, cut: int, rows: Tensor) -> Tensor:
        feature = torch.from_numpy(self._cuts[cut][rows.numpy()])
        return feature.permute(0, 3, 1, 2) if self._is_channels_last[cut] else feature


def _file(folder: Path, cut: int) -> Path:
    return folder / f"cut_{cut}.npy"


def _checked(folder: Path) -> list[bool] | None:
    """Return which cuts lie with channels last; None if the cache is missing or damaged."""
    try:
        index = artifacts.load_json(folder / INDEX, KIND)
    except ArtifactError:
        return None
    for cut, digest in enumerate(index["sha256"]):
        path = _file(folder, cut)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return None
    return list(index["is_channels_last"])


def _write(folder: Path, num_rows: int, passes: Iterator[Sequence[Tensor]]) -> list[bool]:
    """Write every cut, then the index; a cache without an index does not count."""
    folder.mkdir(parents=True)
    files: list[_File] = []
    try:
        for features in passes:
            files = files or [_File(_file(folder, cut), num_rows, feature) for cut, feature in enumerate(features)]
            for file, feature in zip(files, features, strict=True):
                file.add(feature)
        digests = [file.finish() for file in files]
    except OSError as error:
        shutil.rmtree(folder)
        raise EnvironmentFault(
            f"{folder} must have room for the teacher's features, but: {error}. Free some space, or set "
            "teacher.features: stream."
        ) from error
    finally:
        for file in files:
            file.close()
    formats = [file.is_channels_last for file in files]
    artifacts.save_json(folder / INDEX, KIND, {"sha256": digests, "is_channels_last": formats})
    return formats


class _File:
    """The .npy file of one cut, written front to back: a full disk then raises, where a mapped page would kill."""

    def __init__(self, path: Path, num_rows: int, first: Tensor) -> None:
        self.is_channels_last = first.is_contiguous(memory_format=torch.channels_last) if first.dim() == 4 else False
        self._path, self._file = path, path.open("wb")
        values = self._stored(first)
        header = {"descr": values.dtype.str, "fortran_order": False, "shape": (num_rows, *values.shape[1:])}
        np.lib.format.write_array_header_2_0(self._file, header)

    def _stored(self, feature: Tensor) -> NDArray[np.float32]:
        values: NDArray[np.float32] = (feature.permute(0, 2, 3, 1) if self.is_channels_last else feature).cpu().numpy()
        return values

    def add(self, feature: Tensor) -> None:
        self._file.write(self._stored(feature).tobytes())

    def close(self) -> None:
        self._file.close()

    def finish(self) -> str:
        """Close the file and return its SHA-256."""
        self.close()
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
