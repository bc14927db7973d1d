from dataclasses import replace
from xml.etree import ElementTree

from helixnas.report import ReportData
from helixnas.report.blocks import ChosenBlock, cell_name, chosen_blocks
from helixnas.report.draw import draw
from helixnas.search_space import Candidate, Cell
from tests.costs import three

OUTER_MADDS = 805_000


def views(data: ReportData, arch_id: str) -> tuple[ChosenBlock, ...]:
    return chosen_blocks(data.space, data.space.parse(arch_id), data.ratings, data.costs)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def boxes(svg: str, kind: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(svg).iter("rect") if element.get("class") == f"box {kind}"]


def test_widths_are_carried_from_block_to_block(data: ReportData) -> None:
    assert [view.in_width for view in views(data, "2:0.1-1:1.1")] == [4, 6]
    assert [view.in_width for view in views(data, "1:0-1:1.1")] == [4, 8]


def test_a_block_knows_its_paths_cost_and_the_teachers(data: ReportData) -> None:
    second = views(data, "2:0.1-1:1.1")[1]
    assert second.cost == three(600_000 - 20_000 * 4, 500, 0.5)
    assert second.teacher_cost == three(800_000, 500, 0.5)  # for the width that the teacher itself gives
    assert second.losses["1:1.1"] == 0.14


def test_the_teachers_cost_is_unknown_where_it_is_no_candidate(data: ReportData) -> None:
    view = views(data, "1:0-1:1.1")[0]
    block = replace(view.block, cells=view.block.cells[1:])
    space = replace(data.space, blocks=(block, data.space.blocks[1]))
    assert chosen_blocks(space, space.parse("0:0-1:1.1"), data.ratings, data.costs)[0].teacher_cost is None


def test_without_the_teachers_cost_a_lane_has_one_bar_and_no_share(data: ReportData) -> None:
    view = replace(views(data, "1:0-1:1.1")[0], teacher_cost=None)
    svg = draw([view], OUTER_MADDS)
    assert [element.get("class") for element in ElementTree.fromstring(svg).iter("rect")].count("bar teacher") == 0
    assert "380.0K" in texts(svg)


def test_cells_are_named_by_their_widths(data: ReportData) -> None:
    assert [cell_name(cell) for cell in data.space.blocks[0].cells] == ["teacher's", "8", "4→6"]


def test_the_drawing_names_every_layer_with_widths_and_stride(data: ReportData) -> None:
    drawn = texts(draw(views(data, "2:0.1-1:1.1"), OUTER_MADDS))
    for text in ("stem", "head", "block 0", "block 1", "teacher: layer1.0 + layer1.1", "4→4, stride 2", "4→6", "6→8"):
        assert text in drawn
    assert drawn.count("mb_k3_e6_se0.25") == 1
    assert drawn.count("mb_k5_e3_se0.25") == 3


def test_the_drawing_gives_each_blocks_share_of_the_teachers_madds(data: ReportData) -> None:
    drawn = texts(draw(views(data, "2:0.1-1:1.1"), OUTER_MADDS))
    assert "800.0K" in drawn
    assert "520.0K · 65 %" in drawn


def test_a_kept_teacher_block_is_drawn_as_the_teachers(data: ReportData) -> None:
    svg = draw(views(data, "0:0-1:0.0"), OUTER_MADDS)
    assert "teacher, kept" in texts(svg)
    assert len(boxes(svg, "chosen")) == 2


def test_deep_cells_go_on_in_the_next_line(data: ReportData) -> None:
    view = views(data, "1:0-1:1.1")[0]
    deep = Cell((8,) * 6, (1,) * 6, ((Candidate("mb"),),) * 6)
    block = replace(view.block, cells=(deep,))
    path = replace(view.path, cell=0, choices=(0,) * 6)
    losses, costs = {path.key: 0.1}, {path.key: three(10, 10)}
    svg = draw([replace(view, block=block, path=path, losses=losses, costs=costs)], OUTER_MADDS)
    assert len({box.get("y") for box in boxes(svg, "chosen")}) == 2
    assert max(float(box.get("x", 0)) + float(box.get("width", 0)) for box in boxes(svg, "chosen")) <= 810


def test_long_names_are_cut_short_and_kept_whole_in_the_hint(data: ReportData) -> None:
    view = views(data, "1:0-1:1.1")[0]
    modules = tuple(f"layer<{index}>" for index in range(30))
    block = replace(view.block, spec=replace(view.block.spec, teacher_modules=modules))
    root = ElementTree.fromstring(draw([replace(view, block=block)], OUTER_MADDS))
    (text,) = [element for element in root.iter("text") if (element.text or "").startswith("teacher: layer<0>")]
    assert (text.text or "").endswith("…")
    assert (text[0].text or "").endswith("layer<29>")
