"""Where images come from. One function per source, each returning whatever size its images have."""

from collections.abc import Callable

import torch
from torch import Tensor

Raw = tuple[Tensor, Tensor, tuple[str, ...]]
"""Images uint8 [N, C, H, W], labels int64 [N], class names."""


def digits() -> Raw:
    """scikit-learn's 1,797 handwritten digits (UCI, 8x8 grey): real images that come with a package."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images / 16 * 255).round().to(torch.uint8)
    return images[:, None], torch.from_numpy(bunch.target).long(), tuple(map(str, bunch.target_names))


SOURCES: dict[str, Callable[[], Raw]] = {"digits": digits}
