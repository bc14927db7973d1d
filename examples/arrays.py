"""Images of your own from a NumPy file: any function from ``data.path`` to arrays.

data:
  source: factory:examples.arrays:load
  path: datasets/mine.npz
"""

from pathlib import Path

import numpy as np


def load(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 [N, C, H, W] of any channel count and size, labels [N] from 0, the names of the classes.

    A fourth array, bool [N], may say which images are the test part.
    """
    with np.load(path) as arrays:
        return arrays["images"], arrays["labels"], [str(name) for name in arrays["class_names"]]
