"""The choices that make a network: one path for each block, as an identity without weights or configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """One cell of one block, and one candidate index for each of the cell's layers."""

    block_id: int
    cell: int
    choices: tuple[int, ...]

    @property
    def key(self) -> str:
        """The path's name inside its block, ``cell:choice.choice``: ``2:0.5`` takes candidates 0 and 5 of cell 2."""
        return f"{self.cell}:{'.'.join(map(str, self.choices))}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """One path for each block, in block order; ``SearchSpace.parse`` makes an architecture from its ``arch_id``."""

    paths: tuple[Path, ...]

    @property
    def arch_id(self) -> str:
        """The keys of all paths, joined by hyphens, such as ``0:0-1:2``."""
        return "-".join(path.key for path in self.paths)
