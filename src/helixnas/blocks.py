"""The interface of a block: all that cutting, the teacher and a search space need to know of a block."""

import math
from dataclasses import dataclass, replace
from typing import Literal

Layout = Literal["NCHW", "NHWC", "NLC"]
"""The order of a feature's axes: a map [N, C, H, W], a map [N, H, W, C], or tokens [N, L, C]."""
_CHANNEL_AXIS = {"NCHW": 0, "NHWC": 2, "NLC": 1}


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One contiguous piece of the teacher, described by its input and its output.

    Shapes leave out the batch: (channels, height, width) or (height, width, channels) for maps, (tokens, channels) for
    tokens.
    """

    block_id: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    layout: Layout
    teacher_modules: tuple[str, ...]
    is_nonnegative: bool = False
    """Whether the block's output is never negative, as behind a ReLU; then its substitutes end in a ReLU too.

    A substitute with a linear end learns far worse there.
    """
    droppable: tuple[str, ...] = ()
    """The submodules of the teacher's block, in order, that can be left out: output and input have the same shape."""
    in_layout: Layout | None = None
    """The input's layout, where it differs from the output's; None where both are the same."""
    madds: int | None = None
    """Multiply-adds of the teacher's block for one image; None where they were not counted."""
    num_params: int | None = None

    @property
    def channel_axis(self) -> int:
        """The axis of the channels in ``out_shape``, which leaves out the batch."""
        return _CHANNEL_AXIS[self.layout]

    @property
    def in_channel_axis(self) -> int:
        """The axis of the channels in ``in_shape``, which leaves out the batch."""
        return _CHANNEL_AXIS[self.in_layout or self.layout]

    @property
    def in_width(self) -> int:
        """The number of channels of the input."""
        return self.in_shape[self.in_channel_axis]

    @property
    def out_width(self) -> int:
        """The number of channels of the output."""
        return self.out_shape[self.channel_axis]

    @property
    def in_size(self) -> tuple[int, ...]:
        """(height, width) of the input map, or (number of tokens,)."""
        return self.in_shape[: self.in_channel_axis] + self.in_shape[self.in_channel_axis + 1 :]

    @property
    def out_size(self) -> tuple[int, ...]:
        """(height, width) of the output map, or (number of tokens,)."""
        return self.out_shape[: self.channel_axis] + self.out_shape[self.channel_axis + 1 :]

    @property
    def stride(self) -> int:
        """The least factor that shrinks a map's height as the block does, rounded up; 1 for tokens."""
        is_map = len(self.in_size) == len(self.out_size) == 2
        return math.ceil(self.in_size[0] / self.out_size[0]) if is_map else 1

    def with_in_width(self, width: int) -> "BlockSpec":
        """Return the same block with ``width`` input channels."""
        axis = self.in_channel_axis
        return replace(self, in_shape=(*self.in_shape[:axis], width, *self.in_shape[axis + 1 :]))
