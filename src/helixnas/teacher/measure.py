"""Run a graph once and note, for each step, what it gives and how many multiply-adds were done by then."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class Step:
    """What a step gave: its shape with the batch, None where that is no tensor of floats; madds done until then."""

    shape: tuple[int, ...] | None
    madds: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All steps of one run, the steps whose value a later one changes in place, and what came out."""

    steps: dict[fx.Node, Step]
    changed: frozenset[fx.Node]
    output: Any


@torch.no_grad()
def measure(module: fx.GraphModule, kept: Collection[fx.Node], example: Tensor) -> Measured:
    """Run a recorded network on ``example``. Of the steps in ``kept``, it is noted whether they are changed later."""
    with madds_counter() as counter:
        run = _Run(module, kept, counter)
        output = run.run(example)
    changed = frozenset(node for node, (tensor, version) in run.kept.items() if tensor._version != version)
    return Measured(run.steps, changed, output)


@contextmanager
def madds_counter() -> Iterator[FlopCounterMode]:
    """Counts two for each multiply-add, of attention too: torch's counter sees nothing inside a fused kernel."""
    is_fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            yield counter
    finally:
        mha.set_fastpath_enabled(is_fast)


class _Run(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, kept: Collection[fx.Node], counter: FlopCounterMode) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self._wanted, self._counter = kept, counter
        self.steps: dict[fx.Node, Step] = {}
        self.kept: dict[fx.Node, tuple[Tensor, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        is_feature = isinstance(value, Tensor) and value.is_floating_point()
        if is_feature and n in self._wanted:
            self.kept[n] = (value, value._version)
        self.steps[n] = Step(tuple(value.shape) if is_feature else None, self._counter.get_total_flops() // 2)
        return value
