"""Each block as the chosen student has it: what its drawing and its ratings are made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helixnas.results import Cost, CostTable, RatingTable
from helixnas.search_space import Architecture, BlockSpace, Cell, Path, SearchSpace


@dataclass(frozen=True, slots=True)
class ChosenBlock:
    """A block, the path chosen in it, and what its tables say of every path, by key.

    ``costs`` hold for ``in_width``, the width that the student's block before gives. ``teacher_cost`` is None where the
    teacher's block is no candidate.
    """

    block: BlockSpace
    path: Path
    in_width: int
    losses: Mapping[str, float]
    costs: Mapping[str, Cost]
    teacher_cost: Cost | None

    @property
    def cell(self) -> Cell:
        """The cell that the chosen path is of."""
        return self.block.cells[self.path.cell]

    @property
    def cost(self) -> Cost:
        """The cost of the block in the chosen student."""
        return self.costs[self.path.key]


def chosen_blocks(
    space: SearchSpace, architecture: Architecture, ratings: Sequence[RatingTable], costs: Sequence[CostTable]
) -> tuple[ChosenBlock, ...]:
    """The blocks of an architecture, in order, widths carried from each to the next."""
    views = []
    in_width = space.blocks[0].spec.in_width
    for block, path, rating, table in zip(space.blocks, architecture.paths, ratings, costs, strict=True):
        losses = dict(zip(rating.paths, rating.ratings, strict=True))
        by_width: dict[int, dict[str, Cost]] = defaultdict(dict)
        for width, key, cost in zip(table.in_widths, table.paths, table.costs, strict=True):
            by_width[width][key] = cost
        kept = next((path.key for path in block.paths() if block.cells[path.cell].is_teacher), "")
        teacher_cost = by_width[block.spec.in_width].get(kept)
        views.append(ChosenBlock(block, path, in_width, losses, by_width[in_width], teacher_cost))
        in_width = block.out_width(path)
    return tuple(views)


def cell_name(cell: Cell) -> str:
    """A cell for people, by the widths of its layers: ``32→64``."""
    return "teacher's" if cell.is_teacher else "→".join(map(str, cell.widths))
