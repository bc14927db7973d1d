"""The embedded data set: real images that come with scikit-learn."""

from pathlib import Path

import torch

from helixnas.data.source import Source, of_arrays


def open_source(_name: str, _path: Path, _channels: int | None) -> Source:
    """Open scikit-learn's 1,797 handwritten digits (UCI), 8 x 8 pixels, grey."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images / 16 * 255).round().to(torch.uint8)
    return of_arrays(images[:, None], torch.from_numpy(bunch.target), tuple(map(str, bunch.target_names)))
