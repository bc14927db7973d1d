"""A candidate is one operation that a layer may take; its name identifies the candidate."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of operation and its numbers, such as ``mb`` with kernel 5, expansion 6, squeeze-excite 0.25.

    The name keeps the order of ``numbers``: ``mb_k5_e6_se0.25``. Strides and widths belong to the layer that holds the
    candidate, not to the candidate. Only slimmable candidates have a width, their number ``w``.
    """

    kind: str
    numbers: tuple[tuple[str, float], ...] = ()
    has_shortcut: bool = False
    """Whether the operation adds its input where a layer keeps the shape, and so can learn to be the identity."""

    @property
    def name(self) -> str:
        """The kind and the numbers, joined by underscores, such as ``mb_k5_e6_se0.25``."""
        return "_".join([self.kind, *(f"{key}{value:g}" for key, value in self.numbers)])

    def number(self, key: str) -> float:
        """Return the number called ``key``.

        Raises:
            KeyError: This candidate has no such number.
        """
        return dict(self.numbers)[key]

    def width(self, usual: int) -> int:
        """Return the output width of a layer with this candidate: the number ``w`` if there is one, else ``usual``."""
        return int(dict(self.numbers).get("w", usual))


TEACHER = Candidate("teacher")
"""The teacher's whole block, unchanged."""


def fewer_layers(num_dropped: int) -> Candidate:
    """Make the candidate that is the teacher's block without its last ``num_dropped`` droppable layers."""
    return Candidate(TEACHER.kind, (("d", num_dropped),))


SKIP = Candidate("skip")
"""The identity: the output is the input."""


def custom_candidate(name: str) -> Candidate:
    """Make the candidate of a custom operation ``package.module:function``, identified by the function's name."""
    return Candidate(name.partition(":")[2].replace("_", "-"))


def bottleneck(kernel: int, ratio: float) -> Candidate:
    """Make ResNet's bottleneck: narrow to ``ratio`` of the output width, convolve, widen (He et al. 2016)."""
    return Candidate("bottle", (("k", kernel), ("r", ratio)), has_shortcut=True)


def transformer(attention: float, mlp_ratio: float) -> Candidate:
    """Make a pre-norm transformer layer of attention and MLP (Vaswani et al. 2017).

    Args:
        attention: The inner width of attention, as a share of the layer's width.
        mlp_ratio: The inner width of the MLP, as a multiple of the layer's width.
    """
    return Candidate("vit", (("a", attention), ("m", mlp_ratio)), has_shortcut=True)


def mbconv(kernel: int, expansion: float, se_ratio: float) -> Candidate:
    """Make an inverted residual with squeeze-excite (MobileNetV2, MobileNetV3, EfficientNet).

    Args:
        kernel: The side of the depthwise kernel, in pixels.
        expansion: The inner width, as a multiple of the input width.
        se_ratio: The inner width of squeeze-excite, as a share of the input width.
    """
    return Candidate("mb", (("k", kernel), ("e", expansion), ("se", se_ratio)), has_shortcut=True)


def slimmable(width: int) -> Candidate:
    """Make a layer of NATS-Bench's size space with ``width`` channels.

    Layers of all widths share their kernels (Yu et al. 2019).
    """
    return Candidate("size", (("w", width),))


RESIDUAL_CONV = Candidate("resconv")
"""HyTra's bottleneck with a convolution inside."""
RESIDUAL_ATTENTION = Candidate("resatt")
"""HyTra's bottleneck with attention inside."""
