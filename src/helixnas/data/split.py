"""Assign each image to one part, so that no image is in two.

An image is identified by its digest, which is the same in another run, under another split and at another size.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from helixnas.config.schema import Data
from helixnas.data.batches import derive_seed
from helixnas.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The rows of ``train``, ``rating`` and ``test``, in this order, and sentences that the user should read."""

    rows: dict[str, Tensor]
    notes: tuple[str, ...]


def split(labels: Tensor, is_test: Tensor | None, settings: Data) -> Split:
    """Draw the parts by ``data.split_seed``, each with its share of every class.

    The test part is drawn first, then the rating part from the rest. Classes with too few images for that are drawn
    together, as if they were one class.

    Args:
        labels: int64 [N]; all -1 where the images have none.
        is_test: bool [N], the source's test images; None where test images are to be drawn.
        settings: The section ``data``, with the seed and the fractions.

    Raises:
        DataError: A part would have no image.
    """
    seed, small = derive_seed(settings.split_seed, "data"), set[int]()
    if is_test is None:
        rest, test, small = _cut(torch.arange(len(labels)), labels, settings.test_fraction, 3, seed)
    else:  # shuffled, so that the first images of the part are a random sample of it
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        rest, test = order[~is_test[order]], order[is_test[order]]
    train, rating, smaller = _cut(rest, labels, settings.rating_fraction, 2, seed)
    rows = {"train": train, "rating": rating, "test": test}
    empty = [name for name, part in rows.items() if not len(part)]
    if empty:
        raise DataError(
            f"There must be images for three parts, but {len(labels)} images leave none for {' and '.join(empty)}. "
            "Add images, or change data.test_fraction, data.rating_fraction, or the source's own test split."
        )
    num_small, num_classes = len(small | smaller), len(labels.unique())
    note = (
        f"{num_small} of {num_classes} classes have too few images for three parts, so they were split "
        "without regard to their class, and some parts may lack them."
    )
    return Split(rows, (note,) if num_small else ())


def _cut(rows: Tensor, labels: Tensor, share: float, least: int, seed: int) -> tuple[Tensor, Tensor, set[int]]:
    """Part ``rows`` into those that stay and a ``share``, by class; and the classes that were drawn together.

    Those are the classes of fewer than ``least`` rows; or all, where the share has fewer images than there are classes.
    """
    from sklearn.model_selection import train_test_split

    if len(rows) < 2:
        return rows, rows[:0], set()
    classes, strata, counts = labels[rows].unique(return_inverse=True, return_counts=True)
    is_small = counts < least
    # too few even together: they join the largest class, or they alone would keep all the others from being stratified
    together = len(classes) if counts[is_small].sum() >= least else int(counts.argmax())
    strata = torch.where(is_small[strata], together, strata)
    small = set(classes[is_small].tolist())
    size = min(math.ceil(share * len(rows)), len(rows) - 1)
    try:
        kept, cut = train_test_split(rows.numpy(), test_size=size, random_state=seed, stratify=strata.numpy())
    except ValueError:
        small = set(classes.tolist())
        kept, cut = train_test_split(rows.numpy(), test_size=size, random_state=seed)
    return torch.from_numpy(kept), torch.from_numpy(cut), small


def without_repeats(rows: Mapping[str, Tensor], digests: Tensor) -> Split:
    """Drop from each part the images that an earlier part holds too; DataError where that leaves a part empty."""
    seen = digests[:0]
    kept, notes = dict[str, Tensor](), list[str]()
    for name, part in rows.items():
        is_new = ~torch.isin(digests[part], seen)
        num_repeats = len(part) - int(is_new.sum())
        if num_repeats == len(part):
            raise DataError(
                f"The {name} part must have images of its own, but all of its {len(part)} images are in an earlier "
                "part too. Remove the images that come more than once, or change data.split_seed."
            )
        if num_repeats:
            notes.append(
                f"{num_repeats} of {len(part)} images of the {name} part were dropped: an earlier part holds them too."
            )
        kept[name] = part[is_new]
        seen = torch.cat([seen, digests[part]])
    return Split(kept, tuple(notes))


def split_digest(rows: Mapping[str, Tensor], digests: Tensor) -> str:
    """Return the digest of a split: equal for the same images in the same parts, in any order."""
    hashed = hashlib.sha256()
    for name, part in rows.items():
        hashed.update(f"{name}:{len(part)}:".encode())
        hashed.update(digests[part].sort().values.numpy().tobytes())
    return hashed.hexdigest()[:16]
