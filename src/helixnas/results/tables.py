"""Tables of every path of a block, and the outcome of the search: plain values that travel between stages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from helixnas import telling
from helixnas.errors import ArtifactError
from helixnas.results.cost import UNMEASURED, Budget, Cost
from helixnas.search_space import SKIP, Architecture, BlockSpace


@dataclass(frozen=True, slots=True)
class RatingTable:
    """The rating of every path of a block by a criterion, in the order of ``BlockSpace.paths()``; low is good.

    Attributes:
        criterion: Its name; ratings by different criteria do not add up.
        constant: The rating of the best constant output, of which any useful path is below; None where the criterion
            has no such number.
    """

    block_id: int
    paths: tuple[str, ...]
    ratings: tuple[float, ...]
    num_images: int
    seed: int
    criterion: str
    constant: float | None

    def check(self, block: BlockSpace) -> "RatingTable":
        """Return the table itself if it is complete for ``block`` and finite.

        Raises:
            ArtifactError: Paths are missing or in another order, or a rating is not finite.
        """
        _check_rows("rating", self.block_id, self.paths, tuple(path.key for path in block.paths()))
        bad = [key for key, rating in zip(self.paths, self.ratings, strict=True) if not math.isfinite(rating)]
        if bad:
            raise ArtifactError(
                f"The rating table of block {self.block_id} must hold finite ratings, but path {bad[0]} has none. "
                f"Lower distill.lr, then run `dvc repro distill@{self.block_id}`."
            )
        return self


def require_one_criterion(tables: Sequence[RatingTable]) -> None:
    """Raise ArtifactError unless all blocks were rated by one criterion: only then do their ratings add up."""
    first, *others = tables
    for table in others:
        if table.criterion != first.criterion:
            raise ArtifactError(
                f"The ratings of all blocks must be by one criterion to add up, but block {first.block_id} is rated by "
                f"{first.criterion} and block {table.block_id} by {table.criterion}. Run `dvc repro`."
            )


@dataclass(frozen=True, slots=True)
class Trained:
    """Counts of a block's trained paths that are of use, by their ratings.

    Attributes:
        num_paths: All trained paths.
        beat_constant: Paths that are better than the best constant output; None where the criterion rates none.
        beat_identity: Paths that are better than leaving the block out; None where the block has no skip.
    """

    block_id: int
    num_paths: int
    beat_constant: int | None
    beat_identity: int | None

    @property
    def has_failed(self) -> bool:
        """Whether fewer than half of the paths beat the constant, or none beats the identity."""
        few = self.beat_constant is not None and 2 * self.beat_constant < self.num_paths
        return self.num_paths > 0 and (few or self.beat_identity == 0)

    def __str__(self) -> str:
        return telling.trained_paths(self.num_paths, self.beat_constant, self.beat_identity)


def trained(table: RatingTable, block: BlockSpace) -> Trained:
    """Count a block's trained paths that beat the best constant output, and those that beat the identity."""
    identity = _identity_loss(table, block)
    rows = zip(block.paths(), table.ratings, strict=True)
    losses = [loss for path, loss in rows if block.cells[path.cell].is_trainable]
    beat_identity = None if identity is None else sum(loss < identity for loss in losses)
    beat_constant = None if table.constant is None else sum(loss < table.constant for loss in losses)
    return Trained(block.block_id, len(losses), beat_constant, beat_identity)


@dataclass(frozen=True, slots=True)
class WorseThanIdentity:
    """A cell that contains the identity, but whose best path has a higher loss than the identity."""

    path: str
    rating: float
    identity_loss: float


def worse_than_identity(table: RatingTable, block: BlockSpace) -> tuple[WorseThanIdentity, ...]:
    """Find the cells that break this rule: no cell that contains the identity rates worse than the identity."""
    identity = _identity_loss(table, block)
    if identity is None:
        return ()
    best: dict[int, tuple[float, str]] = {}
    for path, loss in zip(block.paths(), table.ratings, strict=True):
        cell = block.cells[path.cell]
        keeps_shape = set(cell.widths) == {block.spec.in_width} and set(cell.strides) == {1}
        # some path can learn to leave its input as it is: each layer keeps it and has a shortcut
        if keeps_shape and all(any(option.has_shortcut for option in options) for options in cell.candidates):
            best[path.cell] = min(best.get(path.cell, (math.inf, "")), (loss, path.key))
    return tuple(WorseThanIdentity(key, loss, identity) for loss, key in best.values() if loss > identity)


def _identity_loss(table: RatingTable, block: BlockSpace) -> float | None:
    """The rating of leaving the block out; None where it cannot be."""
    rows = zip(block.paths(), table.ratings, strict=True)
    return next((loss for path, loss in rows if block.cells[path.cell].candidates == ((SKIP,),)), None)


@dataclass(frozen=True, slots=True)
class CostTable:
    """The cost of every path of a block, for every input width that the path may follow.

    There is a row for each width of the input, and within it for each path that takes this width.
    """

    block_id: int
    in_widths: tuple[int, ...]
    paths: tuple[str, ...]
    costs: tuple[Cost, ...]

    def check(self, block: BlockSpace) -> "CostTable":
        """Return the table itself if it is complete for ``block``.

        Raises:
            ArtifactError: Paths are missing or in another order.
        """
        for width in sorted(set(self.in_widths)):
            keys = tuple(path.key for path in block.paths_after(width))
            rows = tuple(key for key, row_width in zip(self.paths, self.in_widths, strict=True) if row_width == width)
            _check_rows("cost", self.block_id, rows, keys)
        return self


def _check_rows(name: str, block_id: int, got: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if got == wanted:
        return
    missing = [key for key in wanted if key not in set(got)]
    fault = f"lacks {len(missing)}, the first {missing[0]}" if missing else "holds others, or in another order"
    raise ArtifactError(
        f"The {name} table of block {block_id} must hold the block's {len(wanted)} paths, but {fault}. "
        f"Remove it and run `dvc repro`."
    )


@dataclass(frozen=True, slots=True)
class Lead:
    """The mean difference by which an architecture's loss is below the tables' optimum's, over the same images."""

    mean: float
    standard_error: float
    num_images: int

    @property
    def is_clear(self) -> bool:
        """Whether the lead is more than one standard error."""
        return self.mean > self.standard_error


@dataclass(frozen=True, slots=True)
class Choice:
    """One architecture with the tables' prediction for it, and its measurements, None where nothing was measured.

    Attributes:
        architecture: The architecture.
        predicted_loss: The sum of its blocks' ratings.
        cost: What the tables say of it.
        val_loss: The loss of the assembled student on the rating part.
        measured: The kinds of cost that were measured on the assembled student.
        lead: By how much its loss is below that of the tables' optimum.
    """

    architecture: Architecture
    predicted_loss: float
    cost: Cost
    val_loss: float | None = None
    measured: Cost = UNMEASURED
    lead: Lead | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The decision of the search, and how sure that decision is.

    Attributes:
        chosen: ``exact``, or a measured trial that beat it.
        chosen_by: "exact" or "refine".
        reason: Why, in a sentence.
        exact: The optimum of the tables.
        optimality: What is proven of ``exact``, such as "proven".
        best: The k best architectures under the budget.
        frontier: The frontier, from the cheapest architecture to the best.
    """

    chosen: Choice
    chosen_by: str
    reason: str
    exact: Choice
    optimality: str
    budget: Budget
    best: tuple[Choice, ...]
    frontier: tuple[Choice, ...]
    num_trials: int
