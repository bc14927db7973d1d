"""Run a graph once and record, for each step, the shape of its value and the multiply-adds done by then."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, fx

from helixnas.counting import MaddsCounter, counting
from helixnas.errors import CutError


@dataclass(frozen=True, slots=True)
class Step:
    """The shape of a step's value, batch included, and the madds done by then.

    ``shape`` is None where the value is not a tensor of floats.
    """

    shape: tuple[int, ...] | None
    madds: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All steps of one run, and the steps of ``kept`` whose value a later step changes in place."""

    steps: Mapping[fx.Node, Step]
    changed: frozenset[fx.Node]


@torch.no_grad()
def measure(module: fx.GraphModule, kept: Collection[fx.Node], example: Tensor) -> Measured:
    """Run a recorded network on ``example`` and record its steps.

    Args:
        module: The recorded network.
        kept: The steps for which to find out whether a later step changes their value in place.
        example: A batch of images [N, C, H, W].

    Raises:
        CutError: The recorded network does not run.
    """
    with counting() as counter:
        run = _Run(module, kept, counter)
        run_through(run, example)
    changed = frozenset(node for node, (tensor, version) in run.kept.items() if tensor._version != version)
    return Measured(run.steps, changed)


def run_through(run: fx.Interpreter, example: Tensor) -> None:
    """Run a recorded network on ``example``; CutError if the run fails."""
    run.extra_traceback = False
    try:
        run.run(example)
    except Exception as error:  # foreign code that took the symbols of the recording for something else
        raise CutError(f"its recorded steps do not run: {shorten(str(error), 200, placeholder=' ...')}") from error


class _Run(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, kept: Collection[fx.Node], counter: MaddsCounter) -> None:
        super().__init__(module)
        self._wanted, self._counter = kept, counter
        self.steps: dict[fx.Node, Step] = {}
        self.kept: dict[fx.Node, tuple[Tensor, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        is_feature = isinstance(value, Tensor) and value.is_floating_point()
        if is_feature and n in self._wanted:
            self.kept[n] = (value, value._version)
        self.steps[n] = Step(tuple(value.shape) if is_feature else None, self._counter.madds)
        return value
