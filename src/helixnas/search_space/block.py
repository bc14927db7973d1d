"""The choices of one block (Cell, BlockSpace), and of all blocks together (SearchSpace)."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import product

from helixnas.blocks import BlockSpec
from helixnas.errors import SpaceMismatchError
from helixnas.search_space.architecture import Architecture, Path
from helixnas.search_space.candidate import SKIP, TEACHER, Candidate


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One position of a cell: its input width, its output width, and the candidates that may stand there.

    ``is_map``: the layer takes maps [N, C, H, W], also where the teacher has channels last; else tokens [N, L, C].
    """

    in_width: int
    out_width: int
    stride: int
    candidates: tuple[Candidate, ...]
    is_map: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One skeleton that a block may take: as many layers as ``widths`` is long.

    ``widths`` are output widths; of slimmable layers, the largest. ``candidates`` lists each layer's candidates, and
    a candidate's position in that list is its index.
    """

    widths: tuple[int, ...]
    strides: tuple[int, ...]
    candidates: tuple[tuple[Candidate, ...], ...]
    is_map: bool = True
    in_width: int | None = None
    """The input width while the cell is distilled and rated; None stands for the teacher's."""
    in_size: tuple[int, ...] | None = None
    """(height, width) of the input maps, where a space has its own; None stands for the teacher's.

    In such a space the width tells the size, so the cell can follow only a block that ends with ``in_width``.
    """

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.widths)

    @property
    def num_paths(self) -> int:
        """The number of paths through the cell."""
        return math.prod(map(len, self.candidates))

    def out_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of the output maps for input maps of ``in_size`` (height, width)."""
        return tuple(reduce(lambda side, stride: math.ceil(side / stride), self.strides, side) for side in in_size)

    def takes(self, width: int) -> bool:
        """Tell whether the cell may follow a block that ends with ``width`` channels."""
        return self.in_size is None or width == self.in_width

    @property
    def is_teacher(self) -> bool:
        """Whether this cell is the teacher's whole block, which needs no distilling."""
        return self.candidates == ((TEACHER,),)

    @property
    def is_of_teacher(self) -> bool:
        """Whether this cell is made of the teacher's layers, all of them or fewer."""
        return all(option.kind == TEACHER.kind for options in self.candidates for option in options)

    @property
    def is_trainable(self) -> bool:
        """Whether the cell has weights to learn, so is neither the teacher's whole block nor the identity."""
        return self.candidates not in (((TEACHER,),), ((SKIP,),))

    def layers(self, in_width: int) -> tuple[LayerSpec, ...]:
        """Return the cell's layers for an input of ``in_width`` channels."""
        in_widths = (in_width, *self.widths[:-1])
        columns = zip(in_widths, self.widths, self.strides, self.candidates, strict=True)
        return tuple(LayerSpec(*column, is_map=self.is_map) for column in columns)

    def along(self, in_width: int, choices: tuple[int, ...]) -> tuple[LayerSpec, ...]:
        """Return the layers of the path ``choices``, each as wide as its candidate makes the layer."""
        layers = []
        for layer, choice in zip(self.layers(in_width), choices, strict=True):
            out_width = layer.candidates[choice].width(layer.out_width)
            layers.append(replace(layer, in_width=in_width, out_width=out_width))
            in_width = out_width
        return tuple(layers)

    @property
    def out_widths(self) -> tuple[int, ...]:
        """The output width of the cell for each candidate of the last layer."""
        return tuple(candidate.width(self.widths[-1]) for candidate in self.candidates[-1])


@dataclass(frozen=True, slots=True)
class BlockSpace:
    """A block's spec and the cells that compete for it; the order of ``paths()`` is the order of every table."""

    spec: BlockSpec
    cells: tuple[Cell, ...]
    shares_layers: bool = False
    """Whether equal layers at the same position share their weights across cells."""
    is_last: bool = False
    """Whether the block is the last, so that the teacher's head follows."""

    @property
    def block_id(self) -> int:
        """The block's number, from 0."""
        return self.spec.block_id

    @property
    def digest(self) -> str:
        """A fingerprint that the block's tables carry, so that a table of another space is refused.

        The teacher's costs are no part of the fingerprint: blocks with the same choices have the same fingerprint.
        """
        value = asdict(self)
        del value["spec"]["madds"], value["spec"]["num_params"]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def kinds(self) -> set[str]:
        """The kinds of the operations that the block's cells may take."""
        return {option.kind for cell in self.cells for options in cell.candidates for option in options}

    @property
    def num_paths(self) -> int:
        """The number of paths of all cells together."""
        return sum(cell.num_paths for cell in self.cells)

    def paths(self) -> Iterator[Path]:
        """Yield every path: cell by cell, with the last layer's choice changing fastest."""
        for index, cell in enumerate(self.cells):
            for choices in product(*(range(len(candidates)) for candidates in cell.candidates)):
                yield Path(self.block_id, index, choices)

    def paths_after(self, width: int) -> Iterator[Path]:
        """Yield, in the order of ``paths()``, the paths that may follow a block that ends with ``width`` channels."""
        return (path for path in self.paths() if self.cells[path.cell].takes(width))

    def path_at(self, index: int) -> Path:
        """Return the path at position ``index`` of ``paths()``; IndexError beyond the end."""
        for cell_index, cell in enumerate(self.cells):
            if index < cell.num_paths:
                choices = []
                for candidates in reversed(cell.candidates):
                    index, choice = divmod(index, len(candidates))
                    choices.append(choice)
                return Path(self.block_id, cell_index, tuple(reversed(choices)))
            index -= cell.num_paths
        raise IndexError(f"Block {self.block_id} has {self.num_paths} paths.")

    def parse_path(self, key: str) -> Path:
        """Return the path of a key such as ``2:0.5``; SpaceMismatchError if this block has no such path."""
        cell, _, choices = key.partition(":")
        try:
            path = Path(self.block_id, int(cell), tuple(map(int, choices.split("."))))
        except ValueError:
            path = Path(self.block_id, -1, ())
        if not self.has(path) or path.key != key:
            raise SpaceMismatchError(
                f"Block {self.block_id} of this search space must hold path {key!r}, but does not. "
                "Use an arch_id made with the same search_space and teacher.blocks."
            )
        return path

    def has(self, path: Path) -> bool:
        """Tell whether the path names a cell of this block and a candidate for each of that cell's layers."""
        if not 0 <= path.cell < len(self.cells):
            return False
        candidates = self.cells[path.cell].candidates
        return len(candidates) == len(path.choices) and all(
            0 <= choice < len(options) for choice, options in zip(path.choices, candidates, strict=True)
        )

    def out_width(self, path: Path) -> int:
        """Return the width that a path ends with."""
        return self.cells[path.cell].out_widths[path.choices[-1]]

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the candidates' names along a path, for messages and reports."""
        return tuple(
            options[choice].name for options, choice in zip(self.cells[path.cell].candidates, path.choices, strict=True)
        )


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All blocks of the student; the stem before them and the head behind them are the teacher's, and fixed."""

    blocks: tuple[BlockSpace, ...]

    @property
    def num_architectures(self) -> int:
        """The number of architectures in which each block takes the width that the block before it gives."""
        counts = Counter({self.blocks[0].spec.in_width: 1})
        for block in self.blocks:
            behind: Counter[int] = Counter()
            for width, count in counts.items():
                for cell in block.cells:
                    for out_width in cell.out_widths if cell.takes(width) else ():
                        behind[out_width] += count * cell.num_paths // len(cell.out_widths)
            counts = behind
        return counts.total()

    def joins(self, architecture: Architecture) -> bool:
        """Tell whether each path may follow the path of the block before it."""
        width = self.blocks[0].spec.in_width
        for block, path in zip(self.blocks, architecture.paths, strict=True):
            if not block.cells[path.cell].takes(width):
                return False
            width = block.out_width(path)
        return True

    def parse(self, arch_id: object) -> Architecture:
        """Return the architecture of an ``arch_id``; SpaceMismatchError if the ``arch_id`` belongs to another space."""
        if not isinstance(arch_id, str):
            raise SpaceMismatchError(f"An arch_id must be a text such as '0:0-1:2', but is {arch_id!r}.")
        keys = arch_id.split("-")
        if len(keys) != len(self.blocks):
            raise SpaceMismatchError(
                f"An arch_id of this space must name {len(self.blocks)} blocks, but {arch_id!r} names {len(keys)}."
            )
        architecture = Architecture(tuple(b.parse_path(key) for b, key in zip(self.blocks, keys, strict=True)))
        if not self.joins(architecture):
            raise SpaceMismatchError(
                f"Each block of an arch_id must take what the one before gives, but in {arch_id!r} one does not."
            )
        return architecture

    @property
    def digest(self) -> str:
        """A fingerprint of all blocks together."""
        return hashlib.sha256("".join(block.digest for block in self.blocks).encode()).hexdigest()[:16]
