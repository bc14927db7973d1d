"""The teacher's forward pass as a graph, and pieces of it as networks of their own (torch.fx)."""

from collections.abc import Sequence

from torch import fx, nn

from helixnas.errors import CutError


class _Tracer(fx.Tracer):
    """Looks inside a module only where a cut lies inside it; all else is opaque, and need not be traceable."""

    def __init__(self, cut_modules: Sequence[str]) -> None:
        super().__init__()
        self._cut_modules = cut_modules

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(name.startswith(f"{module_qualified_name}.") for name in self._cut_modules)


def trace(network: nn.Module, cut_modules: Sequence[str]) -> list[fx.Node]:
    """The calls of one forward pass in order, the input first, the output node left out.

    CutError if the code around the named modules depends on the data, so that no graph stands for it.
    """
    try:
        graph = _Tracer(cut_modules).trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError) as error:
        raise CutError(
            f"The teacher's forward pass around teacher.blocks must be a fixed graph, but: {error}. "
            "Name modules that hold the data-dependent part as a whole."
        ) from error
    nodes = [node for node in graph.nodes if node.op != "output"]
    inputs = [node.name for node in nodes if node.op == "placeholder" and node.users]
    if len(inputs) != 1:
        raise CutError(f"The teacher must take one tensor, but takes {len(inputs)}: {', '.join(inputs)}.")
    return [node for node in nodes if node.op != "placeholder" or node.users]


def result(nodes: Sequence[fx.Node]) -> fx.Node:
    """The node whose value the forward pass returns; CutError if it returns more than one tensor."""
    (output,) = (node for node in nodes[0].graph.nodes if node.op == "output")
    value = output.args[0]
    if not isinstance(value, fx.Node):
        raise CutError(f"The teacher must return one tensor, but returns {value}.")
    return value


def crossing(nodes: Sequence[fx.Node], boundary: fx.Node) -> list[fx.Node]:
    """The nodes whose values are still needed after ``boundary``, besides its own; a cut needs none."""
    position = list(nodes).index(boundary)
    before, after = set(nodes[:position]), set(nodes[position + 1 :])
    return [node for node in before if node.op != "get_attr" and any(user in after for user in node.users)]


def piece(network: nn.Module, nodes: Sequence[fx.Node], entry: fx.Node, exit_: fx.Node) -> fx.GraphModule:
    """The calls between ``entry`` (left out) and ``exit_`` as a network of one input, sharing the teacher's weights."""
    graph = fx.Graph()
    copies = {entry: graph.placeholder("x")}

    def copy(old: fx.Node) -> fx.Node:
        if old not in copies:  # a parameter of the network's own, read before ``entry`` too
            copies[old] = graph.node_copy(old)
        return copies[old]

    for node in nodes:
        copies[node] = graph.node_copy(node, copy)
    graph.output(copies[exit_])
    return fx.GraphModule(network, graph)
