"""The Lagrangian relaxation: prices on the costs, so that every choice of rows tells how good it can become at least.

Where each cost has a price, nothing but the width joins one block to the next, and the least of loss plus price is a
shortest path. Less what the limits would pay, it is a floor: nothing within the limits has a lower loss (Geoffrion
1974, "Lagrangean relaxation for integer programming"). The same holds for each row, so most rows can be left out.
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
"""The most that all of a limit may be worth, in losses of the worst architecture."""
_CHANGES = (0.02, 0.06, 0.15)
"""Shares by which each price is changed, up and down, for more floors."""


class _Network:
    """All rows as ways from node to node, a node being a width before or behind a block; in groups of the same ends."""

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
        return np.asarray(position * len(self.widths) + np.searchsorted(self.widths, width))


class Relaxation:
    """``weights`` [1 + d]: 1 for the loss and the prices; ``floor``: nothing within ``limits`` [d] has a lower loss."""

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
        """The sums [1 + d] of an architecture that has the floor."""
        network, node, sums = self._network, self._network.source, np.zeros(len(self.weights))
        ends = [*network.starts[1:], len(network.order)]
        for group, (first, last) in enumerate(network.groups):
            if first == node and self._cheapest[group] + self._behind[last] == self._behind[first]:
                rows = network.order[network.starts[group] : ends[group]]
                sums += network.values[rows[np.argmin(self._priced[rows])]]
                node = last
        return sums

    def through(self) -> list[Floats]:
        """For each block, the floor [n] of the architectures that have each of its rows."""
        network, ahead = self._network, np.full(self._network.num_nodes, np.inf)
        ahead[network.source] = 0.0
        for (first, last), priced in zip(network.groups, self._cheapest, strict=True):
            ahead[last] = min(ahead[last], ahead[first] + priced)
        floors = ahead[network.enters] + self._priced + self._behind[network.leaves] - self._paid
        return np.split(floors, np.cumsum(network.sizes[:-1]))

    def bound(self, sums: Floats, width: NDArray[np.int64], num_blocks: int) -> Floats:
        """The floor [n] of what parts of so many blocks can become."""
        behind = self._behind[self._network.node(num_blocks, width)]
        return np.asarray(sums @ self.weights + behind - self._paid)


class Floors:
    """Relaxations around the best: a part that spends more or less than most has its highest floor elsewhere."""

    def __init__(self, best: Relaxation, others: Sequence[Relaxation]) -> None:
        self.best, self._every = best, [best, *others]

    def through(self) -> list[Floats]:
        """For each block, the floor [n] of the architectures that have each of its rows."""
        return [np.max(floors, axis=0) for floors in zip(*(one.through() for one in self._every), strict=True)]

    def bound(self, sums: Floats, width: NDArray[np.int64], num_blocks: int, bar: float) -> Floats:
        """The floor [n] of what parts of so many blocks can become; the highest, for those that stay below ``bar``."""
        bound = np.full(len(sums), -np.inf)
        for one in self._every:
            low = np.flatnonzero(bound <= bar)
            bound[low] = np.maximum(bound[low], one.bound(sums[low], width[low], num_blocks))
        return bound


def relax(options: Sequence[BlockOptions], limits: Floats) -> Floors:
    """The relaxation with the highest floor, by cutting planes (Kelley 1960), and some with other prices around it."""
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
    """The highest point below all planes [n, 1 + d], loss and excess: its height and its prices."""
    num_prices = planes.shape[1] - 1
    solution = linprog(
        [-1.0] + [0.0] * num_prices,
        A_ub=np.column_stack([np.ones(len(planes)), -planes[:, 1:]]),
        b_ub=planes[:, 0],
        bounds=[(None, None)] + [(0, dearest)] * num_prices,
    )
    return -float(solution.fun), np.maximum(solution.x[1:], 0)
