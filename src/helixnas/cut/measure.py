"""Run a graph once and record, for each step, the shape of its value and the multiply-adds done by then."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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


class MaddsCounter(TorchDispatchMode):
    """Count the multiply-adds of the code that runs inside this context, as torch's counter does.

    torch's counter counts by module too, and so fails where a module is given a parameter of another module.
    """

    _num_flops = 0

    @property
    def madds(self) -> int:
        """The multiply-adds counted so far."""
        return self._num_flops // 2  # torch counts a multiply-add as two

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket not in flop_registry and func is not torch.ops.prim.device.default:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if count := flop_registry.get(func._overloadpacket):
            self._num_flops += count(*args, **kwargs, out_val=out)
        return out


@contextmanager
def counting() -> Iterator[MaddsCounter]:
    """Count the multiply-adds of the code in the body, those of attention too.

    Fused attention kernels are switched off meanwhile, since no operation is seen inside a fused kernel of the CPU.
    """
    is_fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), MaddsCounter() as counter:  # type: ignore[no-untyped-call]
            yield counter
    finally:
        mha.set_fastpath_enabled(is_fast)


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
        raise CutError(f"its recorded steps do not run: {' '.join(str(error).split())[:200]}") from error


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
