"""Cuts found by watching which module's result is the next one's input, where no graph of the network can be had.

The code between the modules of such a row must do nothing, since the pieces leave it out. Behind the last boundary
anything may come: the head is the network itself, with the modules before it replaced by nothing.
"""

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from helixnas.cut.boundaries import Boundaries
from helixnas.cut.choose import choose
from helixnas.cut.layout import layout_of
from helixnas.cut.points import Line, Point, is_pooled
from helixnas.cut.trace import Span
from helixnas.cut.watch import Call, watch
from helixnas.errors import CutError


def find(network: nn.Module, num_blocks: int, example: Tensor) -> Boundaries:
    """The boundaries of ``num_blocks`` blocks, or CutError that says where the row of modules ends."""
    root = watch(network, example)
    members = _members(root)
    try:
        chosen = choose(_points(root, members, example), num_blocks, root.madds)
    except CutError as error:
        last = repr(members[-1].path) if members else "the input"
        raise CutError(f"{error} The modules that run in a row end with {last}.") from error
    ends = [members[point.position - 1] for point in chosen]
    whole = _folded(root, ends)
    return Boundaries("hooks", tuple(_at(end, whole).path for end in ends), tuple(call.path for call in whole))


def split(network: nn.Module, boundaries: Boundaries) -> tuple[Sequence[nn.Module], Sequence[tuple[str, ...]]]:
    """Stem, blocks and head, and the modules of each; CutError if the network has no such modules."""
    known = dict(network.named_modules())
    missing = [name for name in boundaries.modules if name not in known]
    if missing:
        raise CutError(f"The teacher must have the modules that it was cut at, but lacks {', '.join(missing)}.")
    names: list[tuple[str, ...]] = [()]
    for name in boundaries.modules:
        names[-1] += (name,)
        names += [()] if name in boundaries.names else []
    pieces = [nn.Sequential(*map(known.__getitem__, part)).train(network.training) for part in names[:-1]]
    return [*pieces, _rest(network, boundaries)], names


def _rest(network: nn.Module, boundaries: Boundaries) -> nn.Module:
    """The network without the modules before the last boundary, which give what they are given; the rest is shared."""
    done = boundaries.modules
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    for path, module in network.named_modules():
        if path and not any(f"{name}.".startswith(f"{path}.") for name in done):
            shared[id(module)] = module
    rest = copy.deepcopy(network, shared)
    for name in done:
        rest.set_submodule(name, nn.Identity())
    return rest


def _row(call: Call) -> list[Call]:
    """The calls inside a call, from its first on, that each take what the one before gave."""
    row: list[Call] = []
    state = call.given
    for child in call.children:
        if child.given != state or child.made is None or not child.is_only:
            break
        row.append(child)
        state = child.made
    return row


def _is_row(call: Call) -> bool:
    """Whether a module does nothing but run its modules in a row."""
    row = _row(call)
    return bool(row) and len(row) == len(call.children) and row[-1].made == call.made


def _inner(call: Call) -> list[Call]:
    """The calls to look at inside a call: a row's; and of what only wraps one module, that module's."""
    row = _row(call)
    return _inner(row[0]) or row if len(row) == 1 and not _is_row(row[0]) else row


def _members(call: Call) -> list[Call]:
    """The longest row that a module begins with, of modules that are no rows themselves."""
    return [member for child in _inner(call) for member in (_members(child) if _is_row(child) else [child])]


def _folded(call: Call, ends: Sequence[Call]) -> list[Call]:
    """The same row up to the last of ``ends``, a module whole where none of ``ends`` lies inside it."""
    row: list[Call] = []
    for child in _inner(call):
        if row and row[-1].made == ends[-1].made:
            break
        is_split = any(end in _members(child)[:-1] for end in ends) if _is_row(child) else False
        row += _folded(child, ends) if is_split else [child]
    return row


def _at(end: Call, row: Sequence[Call]) -> Call:
    return next(call for call in row if call.made == end.made)


def _points(root: Call, members: Sequence[Call], example: Tensor) -> list[Point]:
    """The ends of the members that a cut is possible behind, from the first multiply-add to the pooling."""
    shapes = [tuple(example.shape), *(call.shape for call in members), None]
    madds = [0, *(call.madds for call in members), root.madds]
    line = Line(["x", *(call.path for call in members), ""], shapes, madds, _spans(root, members))
    found: list[Point] = []
    for position, call in enumerate(members, start=1):
        if call.madds and is_pooled(call.kind, call.shape, found):
            break
        if call.madds and call.shape and call.shape[0] == len(example) and not call.is_changed:
            layout = layout_of(call.shape, example.shape)
            found += [line.point(position, layout)] if layout else []
        if _is_needed_later(call, members[position:], root):
            break
    return found


def _spans(root: Call, members: Sequence[Call]) -> list[Span]:
    place = {call.path: position for position, call in enumerate(members, start=1)}
    spans = [Span(call.path, place[call.path], place[call.path] + 1, bool(call.children)) for call in members]
    for call in root.inside():
        inner = _members(call) if _is_row(call) else []
        if inner and all(member.path in place for member in inner):
            spans.append(Span(call.path, place[inner[0].path], place[inner[-1].path] + 1, is_container=True))
    return spans


def _is_needed_later(call: Call, following: Sequence[Call], root: Call) -> bool:
    """Whether a module takes what this one made although another has made something of it."""
    moved = next((other for other in following if other.made != call.made), None)  # some give what they are given
    return moved is not None and any(call.made in other.needs and other.began > moved.ended for other in root.inside())
