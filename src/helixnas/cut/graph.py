"""The teacher's forward pass as a graph, and pieces of that graph as separate networks (torch.fx)."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, fx, nn

from helixnas.cut.sizes import BATCH, sizes
from helixnas.cut.trace import TraceFault, record
from helixnas.errors import CutError


def trace(network: nn.Module, opened: Collection[str]) -> list[fx.Node]:
    """Record the steps of one forward pass in order, with the input first and without the output node.

    Args:
        network: The teacher.
        opened: The modules to look into, besides the network itself. Every other module is a single step, and need not
            be traceable.

    Raises:
        CutError: The code that is looked into depends on the data, so that no fixed graph stands for it.
    """
    require_one_input(network)
    try:
        graph = record(network, lambda _, path: path not in opened).graph
    except TraceFault as fault:
        raise CutError(
            f"The teacher's forward pass around teacher.blocks must be a fixed graph, but: {fault.reason}. "
            "Name modules that hold the data-dependent part as a whole."
        ) from fault
    return steps(graph)


def steps(graph: fx.Graph) -> list[fx.Node]:
    """Return a graph's nodes in order, with the input first and without the output node."""
    nodes = [node for node in graph.nodes if node.op != "output"]
    return sorted(nodes, key=lambda node: node.op != "placeholder")


def require_one_input(network: nn.Module) -> None:
    """Require that the forward pass needs no argument besides a batch of images; else CutError."""
    parameters = inspect.signature(network.forward).parameters.values()
    lists = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in lists]
    if len(needed) > 1:
        raise CutError(f"The teacher must take one tensor, but takes {len(needed)}: {', '.join(needed)}.")


def result(nodes: Sequence[fx.Node]) -> fx.Node:
    """Return the node whose value the forward pass returns; CutError if it returns more than one tensor."""
    (output,) = (node for node in nodes[0].graph.nodes if node.op == "output")
    value = output.args[0]
    if not isinstance(value, fx.Node):
        raise CutError(f"The teacher must return one tensor, but returns {value}.")
    return value


def varying(nodes: Sequence[fx.Node], known: Collection[fx.Node] = ()) -> set[fx.Node]:
    """Return the nodes whose values depend on the input, except those that are ``known`` without it.

    Each piece can compute the other nodes by itself.
    """
    found = {nodes[0]}
    for node in nodes[1:]:
        if node not in known and found.intersection(node.all_input_nodes):
            found.add(node)
    return found


class Flow:
    """A recorded forward pass that can be cut; the example is used only where a size read from a shape would cross."""

    def __init__(self, network: nn.Module, nodes: Sequence[fx.Node], example: Tensor) -> None:
        self.nodes = nodes
        self._network, self._example = network, example
        self._sizes: Mapping[fx.Node, Any] | None = None
        self._varied = varying(nodes)

    def crossing(self, boundary: fx.Node) -> list[fx.Node]:
        """Return the nodes besides ``boundary`` whose values are still needed behind it; a cut needs an empty list."""
        position = self.nodes.index(boundary)

        def needed() -> list[fx.Node]:
            after = self._varied.intersection(self.nodes[position + 1 :]) | {boundary.graph.output_node()}
            return [node for node in self.nodes[:position] if node in self._varied and after.intersection(node.users)]

        if needed() and self._sizes is None:
            module = fx.GraphModule(self._network, self.nodes[0].graph)
            self._sizes = sizes(module, self.nodes, self._example)
            self._varied = varying(self.nodes, self._sizes)
        return needed()

    def split(self, names: Sequence[str]) -> list[fx.GraphModule]:
        """Split the network behind the named nodes, into a row of networks of one input that share its weights.

        Raises:
            CutError: The network has no such nodes, or more than one tensor crosses behind one of them.
        """
        named = {node.name: node for node in self.nodes}
        missing = [name for name in names if name not in named]
        if missing:
            raise CutError(f"The teacher must have the steps that it was cut at, but lacks {', '.join(missing)}.")
        boundaries = [named[name] for name in names]
        for boundary in boundaries:
            if others := self.crossing(boundary):
                raise CutError(f"One tensor must cross behind {boundary.name}, but {others[0].name} does too.")
        ends = [self.nodes[0], *boundaries, result(self.nodes)]
        return [self._piece(entry, exit_) for entry, exit_ in pairwise(ends)]

    def _piece(self, entry: fx.Node, exit_: fx.Node) -> fx.GraphModule:
        """The steps between ``entry`` (left out) and ``exit_``.

        What they need of what does not depend on the input, such as a parameter, is computed where it is needed.
        """
        graph = fx.Graph()
        copies: dict[fx.Node, Any] = {entry: graph.placeholder("x")}
        known = self._sizes or {}

        def copy(old: fx.Node) -> Any:
            if old not in copies:
                size = known.get(old)
                batch = graph.call_method("size", (copies[entry], 0)) if size is BATCH else None
                copies[old] = batch or (known[old] if old in known else graph.node_copy(old, copy))
            return copies[old]

        start, stop = self.nodes.index(entry), self.nodes.index(exit_)
        for node in self.nodes[start + 1 : stop + 1]:
            if node in self._varied:
                copy(node)
        graph.output(copy(exit_))
        return fx.GraphModule(self._network, graph)


def covered(pieces: Sequence[fx.GraphModule]) -> list[tuple[str, ...]]:
    """Return, for each piece, the network's largest modules that run in no other piece, in order."""
    # for each step, the modules that it was recorded in, from the outermost in, the network itself left out
    stacks = [
        [[path for path, _ in node.meta.get("nn_module_stack", {}).values() if path] for node in part.graph.nodes]
        for part in pieces
    ]
    paths = [{path for stack in part for path in stack} for part in stacks]
    names = []
    for own, part in zip(paths, stacks, strict=True):
        alone = own - {path for other in paths if other is not own for path in other}
        largest = (next((path for path in stack if path in alone), None) for stack in part)
        names.append(tuple(dict.fromkeys(path for path in largest if path)))
    return names
