"""The student as a drawing: a lane for each block, the teacher's block above, the chosen layers below. Plain SVG."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from helixnas.report.blocks import ChosenBlock
from helixnas.report.wording import TIMES, percent
from helixnas.search_space import TEACHER
from helixnas.telling import quantity

# All lengths are pixels of a drawing that is WIDTH wide; the page scales it.
WIDTH = 1040
LABELS, BOXES, BARS = 64, 190, 836  # where a lane's label, its boxes and its bars begin
BOXES_WIDTH, BAR_WIDTH = BARS - BOXES - 32, 96
TEACHER_HEIGHT, LAYER_HEIGHT, END_HEIGHT = 26, 46, 34
GAP, ARROW, LANE_GAP = 10, 22, 30
MAX_PER_LINE = 4
CHAR_WIDTH = 7.3
HELIX_X, HELIX_REACH = 24, 16


def draw(views: Sequence[ChosenBlock], outer_madds: float) -> str:
    """An inline SVG of the student, stem first; ``outer_madds`` are the multiply-adds of stem and head together."""
    largest = max(max(view.cost["madds"], view.teacher_cost["madds"] if view.teacher_cost else 0) for view in views)
    per_line = min(max(view.cell.depth for view in views), MAX_PER_LINE)
    parts = [_end(0, "stem", "the teacher's, fixed"), _text(BARS, 21, "multiply-adds", "note")]
    y = float(END_HEIGHT + LANE_GAP)
    knots, helix = [y - LANE_GAP / 2], list[str]()
    for view in views:
        modules = "teacher: " + " + ".join(view.block.spec.teacher_modules)
        parts += [
            _label(view, y),
            _box(BOXES, y, BOXES_WIDTH, TEACHER_HEIGHT, "teacher"),
            _text(BOXES + 12, y + 17, _fitted(modules, BOXES_WIDTH - 24), "code", modules),
            *_layers(view, y, per_line),
            *_bars(view, y, largest),
        ]
        y += TEACHER_HEIGHT + -(-view.cell.depth // per_line) * (GAP + LAYER_HEIGHT) + LANE_GAP
        knots.append(y - LANE_GAP / 2)
    outer = quantity("madds", outer_madds)
    parts.append(_end(y, "head", f"the teacher's, fixed; with the stem {outer} multiply-adds"))
    height = y + END_HEIGHT
    # two strands, teacher and student, that meet where the student must give the teacher's features
    for name, side in (("teacher", HELIX_REACH), ("student", -HELIX_REACH)):
        helix.append(f'<path class="strand {name}" d="{_strand(knots, height, side)}"/>')
    helix += [f'<circle class="knot" cx="{HELIX_X}" cy="{knot:g}" r="4"/>' for knot in knots]
    return (
        f'<svg class="student" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="The student, block by block">'
        f"{''.join(helix + parts)}</svg>"
    )


def _end(y: float, name: str, text: str) -> str:
    box = _box(BOXES, y, BOXES_WIDTH, END_HEIGHT, "teacher")
    return _text(LABELS, y + 22, name, "name") + box + _text(BOXES + 12, y + 21, text, "note")


def _label(view: ChosenBlock, y: float) -> str:
    spec = view.block.spec
    in_shape, out_shape = (TIMES.join(map(str, shape)) for shape in (spec.in_shape, spec.out_shape))
    return (
        _text(LABELS, y + 17, f"block {view.block.block_id}", "name")
        + _text(LABELS, y + 38, f"{in_shape} →", "note")
        + _text(LABELS, y + 54, out_shape, "note")
        + _text(LABELS, y + 74, f"loss {view.losses[view.path.key]:.3f}", "note")
    )


def _layers(view: ChosenBlock, y: float, per_line: int) -> list[str]:
    """The chosen layers, ``per_line`` in a row, an arrow between neighbours."""
    width = (BOXES_WIDTH - (per_line - 1) * ARROW) / per_line
    parts = []
    layers = view.cell.along(view.in_width, view.path.choices)
    for index, (layer, choice) in enumerate(zip(layers, view.path.choices, strict=True)):
        line, column = divmod(index, per_line)
        x = BOXES + column * (width + ARROW)
        top = y + TEACHER_HEIGHT + GAP + line * (LAYER_HEIGHT + GAP)
        candidate = layer.candidates[choice]
        is_kept = candidate == TEACHER
        name = "teacher, kept" if is_kept else candidate.name
        detail = f"{layer.in_width}→{layer.out_width}" + (f", stride {layer.stride}" if layer.stride > 1 else "")
        parts += [
            _box(x, top, width, LAYER_HEIGHT, "teacher" if is_kept else "chosen"),
            _text(x + 12, top + 19, _fitted(name, width - 24), "code strong", name),
            _text(x + 12, top + 36, detail, "note"),
        ]
        if column:
            parts.append(f'<path class="arrow" d="M{x - 18:.1f} {top + LAYER_HEIGHT / 2:g}h13m-4 -4l4 4l-4 4"/>')
    return parts


def _bars(view: ChosenBlock, y: float, largest: float) -> list[str]:
    """The madds of the teacher's block, where known, and of the chosen path under it."""
    madds, teacher = view.cost["madds"], view.teacher_cost
    below = y + TEACHER_HEIGHT + GAP + 16
    if teacher is None:
        return [_bar(below, madds, largest, "chosen", quantity("madds", madds))]
    share = f"{quantity('madds', madds)} · {percent(madds / teacher['madds'], 0)}"
    return [
        _bar(y + 6, teacher["madds"], largest, "teacher", quantity("madds", teacher["madds"])),
        _bar(below, madds, largest, "chosen", share),
    ]


def _bar(y: float, madds: float, largest: float, kind: str, text: str) -> str:
    width = max(2.0, BAR_WIDTH * madds / largest)
    bar = f'<rect class="bar {kind}" x="{BARS}" y="{y:g}" width="{width:.1f}" height="14" rx="2"/>'
    return bar + _text(BARS + width + 8, y + 11.5, text, "number")


def _strand(knots: Sequence[float], height: float, side: float) -> str:
    """One strand's curve: from its own side through every knot, changing sides at each."""
    x = HELIX_X
    d = f"M{x + side:g} 0C{x + side:g} {knots[0] / 2:g} {x + side / 2:g} {knots[0] - 8:g} {x} {knots[0]:g}"
    for top, bottom in pairwise(knots):
        side, bend = -side, (bottom - top) / 3
        d += f"C{x + side * 1.4:g} {top + bend:.1f} {x + side * 1.4:g} {bottom - bend:.1f} {x} {bottom:g}"
    last = knots[-1]
    return d + f"C{x - side / 2:g} {last + 8:g} {x - side:g} {(last + height) / 2:g} {x - side:g} {height:g}"


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="box {kind}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{height:g}" rx="4"/>'


def _text(x: float, y: float, text: str, kind: str, title: str = "") -> str:
    hint = f"<title>{escape(title)}</title>" if title else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}">{escape(text)}{hint}</text>'


def _fitted(text: str, width: float) -> str:
    """``text``, cut short where its fixed-width type would run over ``width``."""
    room = int(width / CHAR_WIDTH)
    return text if len(text) <= room else f"{text[: room - 1]}…"
