"""The teacher's forward pass as a graph, and pieces of it as networks of their own (torch.fx)."""

import inspect
from collections.abc import Collection, Sequence
from itertools import pairwise

from torch import fx, nn

from helixnas.errors import CutError
from helixnas.teacher.trace import TraceFault, record


def trace(network: nn.Module, opened: Collection[str]) -> list[fx.Node]:
    """The steps of one forward pass in order, the input first, the output node left out.

    Looks into the network and the modules of ``opened``; all else is opaque, and need not be traceable. CutError if
    the code that is looked into depends on the data, so that no graph stands for it.
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
    """A graph's nodes in order, the input first, the output node left out."""
    nodes = [node for node in graph.nodes if node.op != "output"]
    return sorted(nodes, key=lambda node: node.op != "placeholder")


def require_one_input(network: nn.Module) -> None:
    """CutError unless an image batch is all that the forward pass must be given."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        parameter.name
        for parameter in inspect.signature(network.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in variadic
    ]
    if len(needed) > 1:
        raise CutError(f"The teacher must take one tensor, but takes {len(needed)}: {', '.join(needed)}.")


def result(nodes: Sequence[fx.Node]) -> fx.Node:
    """The node whose value the forward pass returns; CutError if it returns more than one tensor."""
    (output,) = (node for node in nodes[0].graph.nodes if node.op == "output")
    value = output.args[0]
    if not isinstance(value, fx.Node):
        raise CutError(f"The teacher must return one tensor, but returns {value}.")
    return value


def varying(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes whose values depend on the input. Each piece can compute the others by itself."""
    found = {nodes[0]}
    for node in nodes[1:]:
        if found.intersection(node.all_input_nodes):
            found.add(node)
    return found


def crossing(nodes: Sequence[fx.Node], boundary: fx.Node) -> list[fx.Node]:
    """The nodes whose values are still needed after ``boundary``, besides its own; a cut needs none."""
    position = list(nodes).index(boundary)
    before, after = set(nodes[:position]) & varying(nodes), set(nodes[position + 1 :])
    return [node for node in nodes if node in before and any(user in after for user in node.users)]


def split(network: nn.Module, nodes: Sequence[fx.Node], names: Sequence[str]) -> list[fx.GraphModule]:
    """The network in pieces, split behind the named nodes; CutError if it has no such nodes."""
    named = {node.name: node for node in nodes}
    missing = [name for name in names if name not in named]
    if missing:
        raise CutError(f"The teacher must have the steps that it was cut at, but lacks {', '.join(missing)}.")
    return pieces(network, nodes, [named[name] for name in names])


def pieces(network: nn.Module, nodes: Sequence[fx.Node], boundaries: Sequence[fx.Node]) -> list[fx.GraphModule]:
    """The network in a row of networks of one input, split behind each boundary, sharing its weights."""
    ends = [nodes[0], *boundaries, result(nodes)]
    varied = varying(nodes)
    places = [nodes.index(end) for end in ends]
    return [
        piece(network, [node for node in nodes[start + 1 : stop + 1] if node in varied], nodes[start], nodes[stop])
        for start, stop in pairwise(places)
    ]


def piece(network: nn.Module, nodes: Sequence[fx.Node], entry: fx.Node, exit_: fx.Node) -> fx.GraphModule:
    """The steps between ``entry`` (left out) and ``exit_`` as a network of one input, sharing the teacher's weights.

    What they need of what does not depend on the input, such as a parameter, is computed where it is needed.
    """
    graph = fx.Graph()
    copies = {entry: graph.placeholder("x")}

    def copy(old: fx.Node) -> fx.Node:
        if old not in copies:
            copies[old] = graph.node_copy(old, copy)
        return copies[old]

    for node in nodes:
        copy(node)
    graph.output(copy(exit_))
    return fx.GraphModule(network, graph)


def covered(pieces: Sequence[fx.GraphModule]) -> list[tuple[str, ...]]:
    """For each piece, the network's largest modules that run in no other piece, in order."""
    stacks = [[_modules_around(node) for node in part.graph.nodes] for part in pieces]
    paths = [{path for stack in part for path in stack} for part in stacks]
    names = []
    for own, part in zip(paths, stacks, strict=True):
        alone = own - {path for other in paths if other is not own for path in other}
        largest = (next((path for path in stack if path in alone), None) for stack in part)
        names.append(tuple(dict.fromkeys(path for path in largest if path)))
    return names


def _modules_around(node: fx.Node) -> list[str]:
    """The modules that a step was recorded in, from the outermost in, the network itself left out."""
    return [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
