"""Record the forward pass of one batch of images by torch.fx, as finely as possible."""

import copy
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from torch import fx, nn

Address = tuple[str, int]
"""A step of the forward pass: the key of a module's call, and the step's number in that call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module.

    Its nodes lie in ``start <= position < stop``. ``result`` is the node that it returns, None for any other value.
    """

    path: str
    address: Address
    caller: str
    start: int
    stop: int
    result: fx.Node | None


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of a module, ``start <= position < stop``; ``is_container`` if the module is made of modules."""

    path: str
    start: int
    stop: int
    is_container: bool


class TraceFault(Exception):  # never seen by a user
    """The module ``path`` cannot be looked into; ``reason`` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path, self.reason = path, reason


class Tracer(fx.Tracer):
    """Record the forward pass; a module for which ``is_closed(module, path)`` holds is a single node.

    Only the first argument of the forward pass is an input; the others take their defaults, as in an ordinary call.
    """

    def __init__(self, is_closed: Callable[[nn.Module, str], bool]) -> None:
        layers = sys.modules.get("timm.layers")  # marks functions as not to be looked into; None if timm is not loaded
        whole = () if layers is None else tuple(filter(callable, layers.get_notrace_functions()))
        super().__init__(autowrap_functions=whole)
        self._is_closed = is_closed
        self._steps = {"": 0}
        self._callers = [""]
        self.calls: dict[str, Call] = {}
        """All calls by key: the module's name, followed by ``@1``, ``@2`` from its second call on."""
        self.at: dict[Address, fx.Node] = {}
        """The node that each step gives, where the step gives a single node."""
        self.blamed: str | None = None
        """The innermost module that could not be recorded."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell torch.fx whether a module is to be a single node."""
        return self._is_closed(m, module_qualified_name)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Give the forward pass a single input, ``x``."""
        return root_fn, [self.root, self.create_proxy("placeholder", "x", (), {})]

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        """Create a node, and note the address of its step."""
        node = super().create_node(kind, *args, **kwargs)
        if kind not in ("get_attr", "placeholder", "output"):
            node.meta["address"] = self._step(node)
        return node

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Record the call of a module, and note its steps, its result, and the innermost module that fails."""
        path = self.path_of_module(m)
        address, caller, start = self._step(None), self._callers[-1], len(self.graph.nodes)
        number = self.num_calls.get(path, 0)
        key = f"{path}@{number}" if number else path
        self._callers.append(key)
        self._steps[key] = 0
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.blamed = path if self.blamed is None else self.blamed
            raise
        self._callers.pop()
        node = result.node if isinstance(result, fx.Proxy) else None
        if node is not None:
            self.at[address] = node
        self.calls[key] = Call(path, address, caller, start, len(self.graph.nodes), node)
        return result

    def _step(self, node: fx.Node | None) -> Address:
        caller = self._callers[-1]
        self._steps[caller] += 1
        address = (caller, self._steps[caller])
        if node is not None:
            self.at[address] = node
        return address


def record(network: nn.Module, is_closed: Callable[[nn.Module, str], bool]) -> Tracer:
    """Record the forward pass.

    Raises:
        TraceFault: A module depends on the data or is not traceable; the fault names the innermost such module.
    """
    tracer = Tracer(is_closed)
    try:
        tracer.trace(network)
    except Exception as error:  # foreign code, which may raise anything when it is given symbols for tensors
        raise TraceFault(tracer.blamed or "", shorten(str(error), 200, placeholder=" ...")) from error
    return tracer


def record_deeply(network: nn.Module, closed: Collection[str] = ()) -> Tracer:
    """Record the forward pass as finely as possible; a module that cannot be recorded stays closed, with all its kind.

    torch's layers, and the modules that timm excludes from tracing, are single nodes.

    Args:
        network: The network to record.
        closed: Names of modules that stay closed from the start.
    """
    closed_paths, closed_kinds = set(closed), set[type]()

    def is_closed(module: nn.Module, path: str) -> bool:
        return path in closed_paths or type(module) in closed_kinds or is_layer(module)

    while True:
        try:
            return record(network, is_closed)
        except TraceFault as fault:
            if not fault.path or fault.path in closed_paths:
                raise
            kind = type(network.get_submodule(fault.path))
            closed_paths.add(fault.path)
            closed_kinds |= {kind} - {nn.Sequential}


def is_layer(module: nn.Module) -> bool:
    """Tell whether a module is a single step: a layer of torch, or a module that timm excludes from tracing."""
    kind = type(module)
    is_container = kind.__module__.startswith("torch.nn.modules") and any(module.children())
    is_whole = isinstance(module, nn.MultiheadAttention) or not is_container
    layers = sys.modules.get("timm.layers")
    is_excluded = layers is not None and kind in layers.get_notrace_modules()
    return (kind.__module__.startswith("torch.nn") and is_whole) or is_excluded


def scratch(network: nn.Module) -> nn.Module:
    """Copy a network, sharing the weights, for a recording that may leave symbols behind in a module's attributes."""
    tensors: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, tensors)


def callers(tracer: Tracer, node: fx.Node) -> Iterator[Call]:
    """Yield the calls that a node was recorded in, from the innermost outwards; none for the network's own code."""
    key = node.meta["address"][0]
    while key:
        yield tracer.calls[key]
        key = tracer.calls[key].caller


def spans(tracer: Tracer) -> list[Span]:
    """Return the modules of a recording, with the steps that they cover."""
    assert isinstance(tracer.root, nn.Module)
    modules = dict(tracer.root.named_modules(remove_duplicate=False))
    return [
        Span(call.path, call.start, call.stop, any(modules[call.path].children()))
        for call in tracer.calls.values()
        if call.stop > call.start
    ]
