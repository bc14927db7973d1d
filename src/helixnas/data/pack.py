"""Write the pixels of the parts, each into one file, an image at a time and in any order."""

import math
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from helixnas.data.pixels import MAPPED, Packed, Shape
from helixnas.errors import EnvironmentFault


class Packer:
    """The files of all parts, unfinished until ``finish``; a context manager that removes what is unfinished.

    Images are written, not assigned to mapped pages: a full disk then raises an error, where a page would kill.

    Args:
        out: The folder of the parts.
        names: Of the parts.
    """

    def __init__(self, out: Path, names: Iterable[str]) -> None:
        self._out, self._folder = out, out / ".packing"
        shutil.rmtree(self._folder, ignore_errors=True)  # what a killed process left
        self._folder.mkdir(parents=True)
        self._files: dict[str, BinaryIO] = {name: (self._folder / name).open("w+b") for name in names}

    def __enter__(self) -> "Packer":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with suppress(OSError):  # it tries once more to write what the full disk refused
                file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, name: str, place: int, image: Tensor) -> None:
        """Write an image, uint8 [C, H, W], to its place in a part, counted from 0.

        Raises:
            EnvironmentFault: The disk has no room.
        """
        content = image.numpy().tobytes()
        self._write(name, place * len(content), content)

    def _write(self, name: str, start: int, content: bytes) -> None:
        try:
            self._files[name].seek(start)
            self._files[name].write(content)
            self._files[name].flush()
        except OSError as error:
            raise EnvironmentFault(
                f"{self._out / name / MAPPED} must be written, but: {error}. Free some space, or lower data.pack_gb."
            ) from error

    def finish(self, name: str, kept: Tensor, in_shape: Shape) -> Packed:
        """Put a part's file into its folder, and return its pixels.

        Args:
            name: Of the part.
            kept: The places of the images to keep, rising, int64 [N]; they close up.
            in_shape: (channels, height, width) of each image.
        """
        file, path, size = self._files[name], self._folder / name, math.prod(in_shape)
        for new, old in enumerate(kept.tolist()):
            if new != old:
                file.seek(old * size)
                self._write(name, new * size, file.read(size))
        file.truncate(len(kept) * size)
        os.fsync(file.fileno())
        path.chmod(0o644)
        (self._out / name).mkdir(exist_ok=True)
        Packed(np.memmap(path, np.uint8, "r", shape=(len(kept), *in_shape))).save_header(self._out / name)
        path.replace(self._out / name / MAPPED)
        return Packed.open(self._out / name)
