"""The Lagrangian relaxation: prices on the costs give a lower bound, a floor, of the loss for every choice of rows.

Where each cost has a price, nothing but the width joins one block to the next, and the least of loss plus price is a
shortest path. Less the price of the whole limits, this is a floor: nothing within the limits has a lower loss
(Geoffrion 1974, "Lagrangean relaxation for integer programming"). The same holds for each row, so most rows can be left
out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from helixnas.search.options import BlockOptions
from helixnas.search.parts import Floats

_MOST_PLANES = 100
_TOLERANCE = 1e-9
_DEAREST = 1e3
"""The most that a whole limit may be worth, in losses of the worst architecture."""
_CHANGES = (0.02, 0.06, 0.15)
"""Shares by which each price is changed, up and down, for more floors."""


class _Network:
    """All rows as edges from node to node, grouped by their ends; a node is a width before or behind a block."""

    def __init__(self, options: Sequence[BlockOptions]) -> None:
        self.widths = np.unique(np.concatenate([width for o in options for width in (o.in_width, o.out_width)]))
        self.sizes = [len(block.path) for block in options]
        self.values = np.concatenate([block.values for block in options])
        position = np.repeat(np.arange(len(options)), self.sizes)
        enters = self.node(position, np.concatenate([block.in_width for block in options]))
        leaves = self.node(position + 1, np.concatenate([block.out_width for block in options]))
        self.order = np.lexsort((leaves, enters))
        ends = np.column_stack([enters, leaves])[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], (ends[1:] != ends[:-1]).any(axis=1)]))
        self.groups = [(int(first), int(last)) for first, last in ends[self.starts]]
        self.enters, self.leaves = enters, leaves
        self.num_nodes = (len(options) + 1) * len(self.widths)
        self.source = int(enters[0])

    def node(self, position: NDArray[np.int64] | int, width: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the node of a width, before the block at this position."""
        return np.asarray(position * len(self.widths) + np.searchsorted(self.widths, width))


class Relaxation:
    """The relaxation at given prices.

    Attributes:
        weights: 1 for the loss, then the price of each cost, [1 + d].
        floor: Nothing within ``limits`` has a lower loss.

    Args:
        network: All rows of all blocks.
        limits: The most of each cost, [d].
        prices: The price of each cost, [d].
    """

    def __init__(self, network: _Network, limits: Floats, prices: Floats) -> None:
        self.weights = np.concatenate([[1.0], prices])
        self._network, self._paid = network, float(prices @ limits)
        self._priced = network.values @ self.weights
        self._cheapest = np.minimum.reduceat(self._priced[network.order], network.starts).tolist()
        self._behind = np.full(network.num_nodes, np.inf)
        self._behind[-len(network.widths) :] = 0.0
        for (first, last), priced in zip(reversed(network.groups), reversed(self._cheapest), strict=True):
            self._behind[first] = min(self._behind[first], priced + self._behind[last])
        self.floor = float(self._behind[network.source]) - self._paid

    def lowest(self) -> Floats:
        """Return the sums [1 + d] of an architecture whose priced loss is the floor."""
        network, node, sums = self._network, self._network.source, np.zeros(len(self.weights))
        ends = [*network.starts[1:], len(network.order)]
        for group, (first, last) in enumerate(network.groups):
            if first == node and self._cheapest[group] + self._behind[last] == self._behind[first]:
                rows = network.order[network.starts[group] : ends[group]]
                sums += network.values[rows[np.argmin(self._priced[rows])]]
                node = last
        return sums

    def through(self) -> list[Floats]:
        """Return, for each block and each of its rows, the floor [n] of the architectures with this row."""
        network, ahead = self._network, np.full(self._network.num_nodes, np.inf)
        ahead[network.source] = 0.0
        for (first, last), priced in zip(network.groups, self._cheapest, strict=True):
            ahead[last] = min(ahead[last], ahead[first] + priced)
        floors = ahead[network.enters] + self._priced + self._behind[network.leaves] - self._paid
        return np.split(floors, np.cumsum(network.sizes[:-1]))

    def bound(self, sums: Floats, width: NDArray[np.int64], num_blocks: int) -> Floats:
        """Return the floor [n] of the architectures that parts of so many blocks can become."""
        behind = self._behind[self._network.node(num_blocks, width)]
        return np.asarray(sums @ self.weights + behind - self._paid)


class Floors:
    """Relaxations around the best: a part that spends more or less than most parts has its highest floor elsewhere.

    Args:
        best: The relaxation with the highest floor.
        others: Relaxations with other prices.
    """

    def __init__(self, best: Relaxation, others: Sequence[Relaxation]) -> None:
        self.best, self._every = best, [best, *others]

    def through(self) -> list[Floats]:
        """Return, for each block and each of its rows, the highest floor [n] of the architectures with this row."""
        return [np.max(floors, axis=0) for floors in zip(*(one.through() for one in self._every), strict=True)]

    def bound(self, sums: Floats, width: NDArray[np.int64], num_blocks: int, bar: float) -> Floats:
        """Return the floor [n] of the architectures that parts of so many blocks can become.

        The highest floor of all relaxations is found only for parts that stay below ``bar``.
        """
        bound = np.full(len(sums), -np.inf)
        for one in self._every:
            low = np.flatnonzero(bound <= bar)
            bound[low] = np.maximum(bound[low], one.bound(sums[low], width[low], num_blocks))
        return bound


def relax(options: Sequence[BlockOptions], limits: Floats) -> Floors:
    """Find the relaxation with the highest floor, by cutting planes (Kelley 1960), and others with prices nearby.

    Args:
        options: The options of every block.
        limits: The most of each cost, [d], without stem and head.
    """
    network, scale = _Network(options), np.where(limits > 0, limits, 1.0)
    worst = sum(float(np.abs(block.values[:, 0]).max()) for block in options) or 1.0
    relaxation = best = Relaxation(network, limits, np.zeros(len(limits)))
    planes: list[Floats] = []
    for _ in range(_MOST_PLANES):
        sums = relaxation.lowest()
        planes.append(np.concatenate([sums[:1], (sums[1:] - limits) / scale]))
        hope, prices = _highest(np.array(planes), _DEAREST * worst)
        if hope - best.floor <= _TOLERANCE * worst:
            break
        relaxation = Relaxation(network, limits, prices / scale)
        best = max(best, relaxation, key=lambda one: one.floor)
    signs = np.concatenate([np.eye(len(scale)), -np.eye(len(scale))])
    steps = [1 + change * sign for change in _CHANGES for sign in signs]
    return Floors(best, [Relaxation(network, limits, best.weights[1:] * step) for step in steps])


def _highest(planes: Floats, dearest: float) -> tuple[float, Floats]:
    """The highest point below all planes [n, 1 + d] of loss and excess: its height and its prices."""
    num_prices = planes.shape[1] - 1
    solution = linprog(
        [-1.0] + [0.0] * num_prices,
        A_ub=np.column_stack([np.ones(len(planes)), -planes[:, 1:]]),
        b_ub=planes[:, 0],
        bounds=[(None, None)] + [(0, dearest)] * num_prices,
    )
    return -float(solution.fun), np.maximum(solution.x[1:], 0)
