"""A candidate: one operation that a layer may take, known by its name alone."""

import re
from dataclasses import dataclass

from helixnas.errors import SpaceMismatchError

_NUMBER = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of operation and its numbers, such as ``mb`` with kernel 5, expansion 6, squeeze-excite 0.25.

    ``numbers`` keeps its order, since the name is made of it: ``mb_k5_e6_se0.25``. Strides are no part of a
    candidate, the layer that holds it knows them; nor are widths, but for slimmable candidates, which differ in ``w``.
    """

    kind: str
    numbers: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """The kind and the numbers in one word, such as ``mb_k5_e6_se0.25``."""
        return "_".join([self.kind, *(f"{key}{value:g}" for key, value in self.numbers)])

    @property
    def has_shortcut(self) -> bool:
        """Whether the operation adds to its input where a layer keeps its shape, and so can learn to do nothing."""
        return self.kind in {"mb", "bottle", "vit"}

    def number(self, key: str) -> float:
        """The number called ``key``; KeyError if this kind has none."""
        return dict(self.numbers)[key]

    def width(self, usual: int) -> int:
        """The width that a layer of this candidate gives: ``w`` where the candidate has one, else ``usual``."""
        return int(dict(self.numbers).get("w", usual))

    @classmethod
    def parse(cls, name: str) -> "Candidate":
        """The candidate of a name, the inverse of ``name``."""
        kind, *tokens = name.split("_")
        matches = [_NUMBER.fullmatch(token) for token in tokens]
        if not kind or not all(matches):
            raise SpaceMismatchError(f"A candidate's name must look like 'mb_k5_e6_se0.25', but is {name!r}.")
        return cls(kind, tuple((match[1], float(match[2])) for match in matches if match))


TEACHER = Candidate("teacher")
"""The teacher's own block, kept as it is."""


def fewer_layers(num_dropped: int) -> Candidate:
    """The teacher's block without the last ``num_dropped`` of its layers that keep their input's shape."""
    return Candidate(TEACHER.kind, (("d", num_dropped),))


SKIP = Candidate("skip")
"""Nothing at all: the input is the output."""


def custom_candidate(name: str) -> Candidate:
    """The user's own operation ``package.module:function``: known by the function's name."""
    return Candidate(name.partition(":")[2].replace("_", "-"))


def bottleneck(kernel: int, ratio: float) -> Candidate:
    """ResNet's: narrow to ``ratio`` of the output width, convolve, widen (He et al. 2016)."""
    return Candidate("bottle", (("k", kernel), ("r", ratio)))


def transformer(attention: float, mlp_ratio: float) -> Candidate:
    """A layer of attention and MLP (Vaswani et al. 2017), pre-norm. ``attention`` is its inner share of the width."""
    return Candidate("vit", (("a", attention), ("m", mlp_ratio)))


def mbconv(kernel: int, expansion: float, se_ratio: float) -> Candidate:
    """Inverted residual with squeeze-excite (MobileNetV2/V3, EfficientNet). ``se_ratio`` is of the input channels."""
    return Candidate("mb", (("k", kernel), ("e", expansion), ("se", se_ratio)))


def slimmable(width: int) -> Candidate:
    """NATS-Bench's size space: the layer at one of its widths, which all share kernels (Yu et al. 2019)."""
    return Candidate("size", (("w", width),))


RESIDUAL_CONV = Candidate("resconv")
"""HyTra's bottleneck with a convolution inside."""
RESIDUAL_ATTENTION = Candidate("resatt")
"""HyTra's bottleneck with attention inside."""
