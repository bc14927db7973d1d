"""What a block must do: all that cutting, the teacher and a search space need to know of it."""

import math
from dataclasses import dataclass, replace
from typing import Literal

Layout = Literal["NCHW", "NHWC", "NLC"]
"""How a feature lies behind the batch: a map with channels first or last, or tokens."""
_CHANNEL_AXIS = {"NCHW": 0, "NHWC": 2, "NLC": 1}


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One contiguous piece of the teacher, seen from outside.

    Shapes leave out the batch: (channels, height, width) or (height, width, channels) for maps, (tokens, channels) for
    tokens.
    """

    block_id: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    layout: Layout
    teacher_modules: tuple[str, ...]
    is_nonnegative: bool = False
    """Whether the block ends in a ReLU or the like: then its substitutes do too. A linear end learns far worse."""
    droppable: tuple[str, ...] = ()
    """The submodules of the teacher's block, in order, that can be left out: each gives the shape that it is given."""
    in_layout: Layout | None = None
    """The input's layout, where it is another than the output's."""
    madds: int | None = None
    """What the teacher's block takes for one image; None where nobody counted."""
    num_params: int | None = None

    @property
    def channel_axis(self) -> int:
        """Where the channels are in the output's shape, which is without the batch."""
        return _CHANNEL_AXIS[self.layout]

    @property
    def in_channel_axis(self) -> int:
        """Where the channels are in the input's shape, which is without the batch."""
        return _CHANNEL_AXIS[self.in_layout or self.layout]

    @property
    def in_width(self) -> int:
        """The number of channels that go in."""
        return self.in_shape[self.in_channel_axis]

    @property
    def out_width(self) -> int:
        """The number of channels that come out."""
        return self.out_shape[self.channel_axis]

    @property
    def in_size(self) -> tuple[int, ...]:
        """Height and width of the map that goes in, or the number of tokens."""
        return self.in_shape[: self.in_channel_axis] + self.in_shape[self.in_channel_axis + 1 :]

    @property
    def out_size(self) -> tuple[int, ...]:
        """Height and width of the map that comes out, or the number of tokens."""
        return self.out_shape[: self.channel_axis] + self.out_shape[self.channel_axis + 1 :]

    @property
    def stride(self) -> int:
        """The least factor that shrinks a map's height as the block does, sides rounded up; 1 where tokens are."""
        is_map = len(self.in_size) == len(self.out_size) == 2
        return math.ceil(self.in_size[0] / self.out_size[0]) if is_map else 1

    def with_in_width(self, width: int) -> "BlockSpec":
        """The same block where another width comes in."""
        axis = self.in_channel_axis
        return replace(self, in_shape=(*self.in_shape[:axis], width, *self.in_shape[axis + 1 :]))
