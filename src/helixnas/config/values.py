"""The kinds of values that params.yaml holds, each with its bounds.

Numbers are finite, and their upper bounds lie far above what is of use, yet below what breaks a library or a machine
hours after the start.
"""

import math
import os
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from helixnas.cost_kinds import known

MAX_COST = 1e15
MAX_PERCENT = 1000.0
MAX_FILE_NAME = 255
"""The most bytes of one part of a file's path, on every usual file system."""
NAME = r"[^\W\d]\w*"
FUNCTION = rf"{NAME}(\.{NAME})*:{NAME}"
"""The pattern of ``package.module:function``."""


def _limit(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?%", value):
        is_possible = 0 < float(value[:-1]) <= MAX_PERCENT
    elif isinstance(value, int | float) and not isinstance(value, bool):
        is_possible = 0 < value <= MAX_COST
    else:
        is_possible = value is None
    if is_possible:
        return value
    raise ValueError(
        f"must be a number above 0 and at most {MAX_COST:g}, a share of the teacher's such as 30%, at most "
        f"{MAX_PERCENT:g}%, or null"
    )


def _argument(value: object) -> object:
    if isinstance(value, float):
        is_plain = math.isfinite(value)
    elif isinstance(value, list):
        is_plain = all(type(item) is int for item in value)
    else:
        is_plain = value is None or isinstance(value, bool | int | str)
    if is_plain:
        return value
    raise ValueError("must be a finite number, a text, true, false, null, or a list of integers")


def rule(is_kept: Callable[[Any], bool], words: str) -> AfterValidator:
    """Make a validator of a rule that a value must keep, and the message for values that do not."""

    def check(value: Any) -> Any:
        if not is_kept(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def form(pattern: str, words: str, max_length: int = 1000) -> AfterValidator:
    """Make a validator that a text must match ``pattern`` as a whole.

    Args:
        pattern: A regular expression.
        words: The same rule in words, for the message.
        max_length: The most letters of the text.
    """
    return rule(
        lambda value: len(value) <= max_length and re.fullmatch(pattern, value) is not None,
        f"must be {words}, of at most {max_length} letters",
    )


SHORT = rule(
    lambda value: float(f"{value:g}") == value and "e" not in f"{value:g}",
    "must have at most six digits, since the candidate's name holds it",
)
DISTINCT = rule(lambda values: len(set(values)) == len(values), "must hold each value once")
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
CountOrNone = Annotated[int, Field(ge=0, le=10_000_000)]
"""A count in which 0 stands for none or for all, depending on the key."""
Several = Annotated[int, Field(ge=2, le=10_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
Epochs = Annotated[int, Field(ge=0, le=100_000)]
Repeats = Annotated[int, Field(ge=1, le=10_000)]
RepeatsOrNone = Annotated[int, Field(ge=0, le=10_000)]
"""Repeats of something that takes long each time; 0 stands for none."""
Threads = Annotated[int, Field(ge=1, le=1024)]
Rate = Annotated[float, Field(gt=0, le=1000)]
Weight = Annotated[float, Field(ge=0, le=1000)]
"""How much one of several losses counts."""
WeightDecay = Annotated[float, Field(ge=0, le=100)]
Ratio = Annotated[float, Field(ge=0.01, le=64), SHORT]
"""The inner width of a layer, as a multiple of the layer's width."""
Kernel = Annotated[int, Field(ge=1, le=9), rule(lambda value: value % 2 == 1, "must be odd: 1, 3, 5, 7 or 9")]
InnerShare = Annotated[float, Field(ge=0.01, le=1), SHORT]
KindName = Annotated[str, rule(lambda value: value in known(), f"must be a kind of cost: {', '.join(known())}")]
Kinds = Annotated[
    list[KindName],
    DISTINCT,
    rule(lambda values: "madds" in values, "must hold madds, over which networks are compared and drawn"),
]
Argument = Annotated[bool | int | float | str | list[int] | None, BeforeValidator(_argument)]
Limit = Annotated[float | str | None, BeforeValidator(_limit)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=200),
    rule(
        lambda value: value == value.strip() and value.isprintable(),
        "must be printable letters, without a line break or a blank at either end",
    ),
]
FileName = Annotated[
    str,
    Field(min_length=1, max_length=4000),
    rule(
        lambda value: "\0" not in value and max(map(len, map(os.fsencode, PurePath(value).parts))) <= MAX_FILE_NAME,
        f"must be the path of a file or folder, its parts of at most {MAX_FILE_NAME} bytes",
    ),
]
Operation = Annotated[
    str, form(rf"{NAME}(\.{NAME})*:[a-z]\w*", "package.module:function, the function's first letter small")
]
OperationList = Annotated[list[Operation], Field(max_length=20), DISTINCT]
Operations = Annotated[
    Annotated[OperationList, Tag("<list>")]
    | Annotated[dict[Annotated[int, Field(ge=0)], OperationList], Tag("<mapping>")],
    Discriminator(
        lambda value: {list: "<list>", dict: "<mapping>"}.get(type(value)),
        custom_error_type="operations",
        custom_error_message="must be a list of operations for all blocks, or a mapping from block_id to such a list",
    ),
]
Policy = Annotated[
    str,
    form(
        r"(rand|augmix|originalr?|v0r?|3a)(-(m|n|p|w|d|a|b|inc|mstd|mmax)[0-9]{1,3}(\.[0-9]{1,3})?|-t[a-z]+)*",
        "a policy of timm such as rand-m9-mstd0.5, or null",
    ),
]
Auto = Annotated[Literal["auto"], Tag("<word>")]
# pydantic tries only the kind that fits the value, so that there is one message; tags in <> stay out of its key
WORD_OR_NUMBER = Discriminator(
    lambda value: "<word>" if value == "auto" else None if isinstance(value, str) else "<number>",
    custom_error_type="number",
    custom_error_message="must be a number, or 'auto'",
)
DataSource = Annotated[
    str,
    form(
        rf"digits|folder|parquet|torchvision:\w+|factory:{FUNCTION}",
        "folder, parquet, digits, torchvision:NAME or factory:module:function",
    ),
]
TeacherSource = Annotated[
    str,
    form(
        rf"timm:[\w.:/-]+|torchvision:\w+|factory:{FUNCTION}|models:/[^/@]+(/[0-9]{{1,9}}|@[\w-]+)",
        "timm:NAME, torchvision:NAME, factory:module:function, models:/NAME@ALIAS or models:/NAME/NUMBER",
    ),
]
SpaceName = Annotated[
    str,
    form(
        rf"substitute|mbconv4?|nats_size|hytra|vit|factory:{FUNCTION}",
        "substitute, mbconv, mbconv4, nats_size, hytra, vit or factory:module:function",
    ),
]
ModuleLists = Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1), Tag("<lists>")]
Blocks = Annotated[
    Annotated[Literal["auto"], Tag("<word>")] | Annotated[int, Field(ge=1, le=100), Tag("<number>")] | ModuleLists,
    Discriminator(
        lambda value: "<word>" if value == "auto" else {int: "<number>", list: "<lists>"}.get(type(value)),
        custom_error_type="blocks",
        custom_error_message="must be auto, a number of blocks, or a list of the modules of each block",
    ),
]
Supervision = Literal["teacher"]
"""The ways to supervise: each is a file of ``distill/`` that defines ``new``, and this list is their registry."""
Criterion = Literal["feature", "output"]
"""The criteria: each is a file of ``rating/`` that defines ``new``, and this list is their registry."""
