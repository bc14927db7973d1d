"""Count the multiply-adds of code that runs: torch's counter, without what it needs to know of modules."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


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
    """Count the multiply-adds of the code in the body, those of attention too."""
    with unfused_attention(), MaddsCounter() as counter:  # type: ignore[no-untyped-call]
        yield counter


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Switch fused attention off in the body, since no operation is seen inside a fused kernel of the CPU."""
    is_fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        mha.set_fastpath_enabled(is_fast)
