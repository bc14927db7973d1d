"""Labels and class names from any source: turned into numbers, or refused with the names of the images."""

from collections.abc import Callable, Mapping, Sequence
from reprlib import repr as shortened
from typing import Any

import torch
from torch import Tensor

from helixnas.data.source import UNLABELLED, Source, few, no_labels
from helixnas.errors import DataError

MAX_CLASSES = 100_000
"""The most classes that labels without names may count: five times those of ImageNet-21k."""
MAX_NAME = 200
"""The longest class name, in characters."""


def coded(
    values: Sequence[Any], class_names: Sequence[str] | None, names: Sequence[str]
) -> tuple[Tensor, tuple[str, ...]]:
    """Turn labels into numbers [N] with class names.

    Args:
        values: All whole numbers, or all strings, Python's or NumPy's. If all are -1, the images have no labels.
        class_names: None where the labels name the classes: strings in alphabetical order, numbers from 0 to the
            highest.
        names: Of the images, for messages.

    Returns:
        The labels as int64 [N], and the class names; no class names where the images have no labels.

    Raises:
        DataError: A label is of another kind, or of no class.
    """
    values = list(map(_plain, values))
    kinds = [type(value) for value in values]  # not isinstance: True is no whole number here
    is_text = kinds.count(str) > kinds.count(int)
    rule = "Labels must be all whole numbers or all strings"
    _require(values, names, lambda value: type(value) is (str if is_text else int), rule, "Correct them.")
    if all(value == UNLABELLED for value in values):
        return no_labels(len(values)), ()
    if class_names is None and is_text:
        class_names = sorted(set(values))
    elif class_names is None:
        rule = f"Labels without class names must be below {MAX_CLASSES:,}"
        _require(values, names, lambda value: value < MAX_CLASSES, rule, "Number the classes from 0.")
        class_names = [str(number) for number in range(max(0, *values) + 1)]
    if not class_names:
        raise DataError("Labels need class names, but there are none. Name the classes, or give no labels.")
    if is_text:
        numbers = {name: number for number, name in enumerate(class_names)}
        rule = f"Labels that are strings must be among the {len(numbers)} class names"
        _require(values, names, numbers.__contains__, rule, "Correct them, or name the classes that are missing.")
        values = [numbers[value] for value in values]
    else:
        rule = f"The {len(class_names)} class names need labels from 0 to {len(class_names) - 1}"
        remedy = "Correct the labels, or name the classes that are missing."
        _require(values, names, range(len(class_names)).__contains__, rule, remedy)
    return torch.tensor(values, dtype=torch.int64), tuple(class_names)


def _require(
    values: Sequence[Any], names: Sequence[str], is_right: Callable[[Any], bool], rule: str, remedy: str
) -> None:
    pairs = zip(names, values, strict=True)
    wrong = [f"{name} has {shortened(value)}" for name, value in pairs if not is_right(value)]
    if wrong:
        raise DataError(f"{rule}, but {few(wrong)}. {remedy}")


def named(given: Any, whose: str) -> tuple[str, ...]:
    """Return the class names in ``given`` as strings.

    Args:
        given: A list of strings or whole numbers; anything else is refused.
        whose: The owner of the names, for messages.

    Raises:
        DataError: ``given`` is no such list.
    """
    given = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise DataError(f"{whose} must name the classes in a list, but gives {shortened(given)}. Correct it.")
    values = list(map(_plain, given))
    numbers = [f"class {number}" for number in range(len(values))]
    rule = f"{whose} must name the classes by strings or whole numbers"
    _require(values, numbers, lambda value: type(value) in {str, int}, rule, "Correct it.")
    return tuple(map(str, values))


def _plain(value: Any) -> Any:
    """Python's own number or string for a scalar of NumPy or torch."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def check_labels(source: Source) -> None:
    """Require that class names are distinct and printable, and that at least two classes have images.

    Images without labels pass.

    Raises:
        DataError: The labels break this rule.
    """
    if not source.is_labelled:
        return
    listed: dict[str, int] = {}
    wrong = []
    for number, name in enumerate(source.class_names):
        if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
            wrong.append(f"class {number} has {shortened(name)}")
        elif name in listed:
            wrong.append(f"classes {listed[name]} and {number} both have {shortened(name)}")
        listed[name] = number
    if wrong:
        raise DataError(
            f"Each class must have a name of its own, of 1 to {MAX_NAME} printable characters, but {few(wrong)}. "
            "Rename them."
        )
    present = source.labels.unique().tolist()
    if len(present) < 2:
        raise DataError(
            f"Labelled images must be of at least two classes, but all {len(source.labels)} are of "
            f"{source.class_names[present[0]]}. Add images of other classes, or give the images without labels."
        )


def check_parts(labels: Tensor, class_names: Sequence[str], rows: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return a sentence for each part that has no image of some classes.

    Args:
        labels: int64 [N] of all images.
        class_names: Empty where the images have no labels; then there are no sentences.
        rows: The images of each part, by the part's name.

    Raises:
        DataError: The train part has images of fewer than two classes.
    """
    notes = []
    for name, part in rows.items() if class_names else ():
        counts = labels[part].bincount(minlength=len(class_names)).tolist()
        absent = [class_name for class_name, count in zip(class_names, counts, strict=True) if not count]
        if name == "train" and len(absent) > len(class_names) - 2:
            raise DataError(
                f"The train part must have images of at least two classes, but has none of: {few(absent)}. "
                "Add images of them, or change data.split_seed or the source's own test split."
            )
        if absent:
            notes.append(
                f"{len(absent)} of {len(class_names)} classes have no image in the {name} part: {few(absent)}."
            )
    return tuple(notes)
