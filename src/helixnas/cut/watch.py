"""One forward pass as hooks on its modules see it: who is called inside whom, what is given and what is made."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from helixnas.cut.measure import counting

State = tuple[int, int]
"""A tensor at one time: which it is, and how often it was changed in place."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of a module. ``given`` is its input if that is one tensor and all it takes, ``made`` its one output.

    ``needs`` holds every tensor that it takes; ``began`` and ``ended`` count the calls' beginnings and ends; ``madds``
    are those done when it ended; ``is_only``: its module is called once.
    """

    path: str
    kind: str
    given: State | None
    needs: set[State]
    began: int
    children: list["Call"] = field(default_factory=list)
    made: State | None = None
    shape: tuple[int, ...] | None = None
    ended: int = 0
    madds: int = 0
    is_only: bool = True
    is_changed: bool = False
    """Whether what it made was changed in place afterwards."""

    def inside(self) -> Iterator["Call"]:
        """Every call in this one, itself first."""
        yield self
        for child in self.children:
            yield from child.inside()


@torch.no_grad()
def watch(network: nn.Module, example: Tensor) -> Call:
    """The network's own call, with all calls inside it."""
    seen = _Watch(network)
    with counting() as counter:
        handles = [handle for path, module in network.named_modules() for handle in seen.hooks(path, module, counter)]
        try:
            network(example)
        finally:
            for handle in handles:
                handle.remove()
    return seen.finish()


class _Watch:
    def __init__(self, network: nn.Module) -> None:
        self._open: list[Call] = []
        self._time = 0
        self._tensors: dict[int, Tensor] = {}  # kept alive, so that no two have one id
        self._root: Call | None = None

    def hooks(self, path: str, module: nn.Module, counter: Any) -> list[Any]:
        def begin(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._begin(path, type(module).__name__.lower(), args, kwargs)

        def end(_module: nn.Module, _args: Any, output: Any) -> None:
            self._end(output, counter.madds)

        return [module.register_forward_pre_hook(begin, with_kwargs=True), module.register_forward_hook(end)]

    def _begin(self, path: str, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        needs = {self._state(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        is_plain = len(args) == 1 and isinstance(args[0], Tensor) and not kwargs
        self._time += 1
        call = Call(path, kind, self._state(args[0]) if is_plain else None, needs, self._time)
        if self._open:
            self._open[-1].children.append(call)
        self._root = self._root or call
        self._open.append(call)

    def _end(self, output: Any, madds: int) -> None:
        call = self._open.pop()
        self._time += 1
        call.ended, call.madds = self._time, madds
        if isinstance(output, Tensor):
            call.made = self._state(output)
            call.shape = tuple(output.shape) if output.is_floating_point() else None

    def _state(self, tensor: Tensor) -> State:
        self._tensors[id(tensor)] = tensor
        return id(tensor), tensor._version

    def finish(self) -> Call:
        assert self._root is not None
        calls = list(self._root.inside())
        times = Counter(call.path for call in calls)
        for call in calls:
            call.is_only = times[call.path] == 1
            call.is_changed = call.made is not None and self._state(self._tensors[call.made[0]]) != call.made
        return self._root
