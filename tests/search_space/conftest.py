"""Cuts as blocks' specs, and spaces of them."""

import math
from collections.abc import Callable, Sequence

import pytest

from helixnas.blocks import BlockSpec
from helixnas.config import load
from helixnas.search_space import SearchSpace, build
from tests.conftest import ROOT

NewSpace = Callable[[str, Sequence[BlockSpec]], SearchSpace]


def maps(widths: Sequence[int], strides: Sequence[int], side: int, layout: str = "NCHW") -> tuple[BlockSpec, ...]:
    """Blocks of maps: ``widths`` start with the stem's, which gives maps of ``side``."""
    specs = []
    for block_id, (in_width, out_width, stride) in enumerate(zip(widths[:-1], widths[1:], strides, strict=True)):
        smaller = math.ceil(side / stride)
        shapes = [(w, s, s) if layout == "NCHW" else (s, s, w) for w, s in ((in_width, side), (out_width, smaller))]
        specs.append(BlockSpec(block_id, *shapes, layout, (f"blocks.{block_id}",)))
        side = smaller
    return tuple(specs)


@pytest.fixture(scope="session")
def new_space() -> NewSpace:
    def new_space(name: str, specs: Sequence[BlockSpec]) -> SearchSpace:
        return build(specs, load(ROOT, [f"search_space.name={name}"]).search_space)

    return new_space
