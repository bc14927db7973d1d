"""Which choices make a network: a path in each block. Identity only; no weights and no settings inside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """One cell of one block, and one candidate index for each of the cell's layers."""

    block_id: int
    cell: int
    choices: tuple[int, ...]

    @property
    def key(self) -> str:
        """The path's name inside its block: ``cell:choice.choice``, for example ``2:0.5``."""
        return f"{self.cell}:{'.'.join(map(str, self.choices))}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """One path for each block, in block order. ``SearchSpace.parse`` is the way back from an ``arch_id``."""

    paths: tuple[Path, ...]

    @property
    def arch_id(self) -> str:
        """The identity of the architecture: the keys of its paths, such as ``0:0-2:0.5``."""
        return "-".join(path.key for path in self.paths)
