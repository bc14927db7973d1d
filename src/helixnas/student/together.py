"""Run many students of the same supernets together: what they begin with alike is computed once.

Students with equal first layers have equal features behind these layers, and equal BatchNorm statistics inside them,
since the statistics of a layer depend on the layers before it alone. So the students make a tree: its root is the
stem, a node is one operation behind one beginning, and each leaf is the head of one student.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from helixnas.data import ImageSet, room_for
from helixnas.search_space import Architecture
from helixnas.student.recalibrate import measuring
from helixnas.student.supernet import BlockSupernet

Batches = Callable[[], Iterable[Tensor]]
"""Function that gives the same batches each time it is called."""


@dataclass(slots=True, eq=False)
class _Node:
    """An operation behind one beginning. ``moments`` are the statistics of its BatchNorm layers there, in order."""

    operation: nn.Module
    children: dict[Hashable, "_Node"] = field(default_factory=dict)
    moments: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    student: int = -1

    def statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and variance in each BatchNorm layer of the operation, which other nodes may share."""
        norms = [module for module in self.operation.modules() if isinstance(module, _BatchNorm)]
        pairs = ((norm.running_mean, norm.running_var) for norm in norms if norm.track_running_stats)
        return [(mean, variance) for mean, variance in pairs if mean is not None and variance is not None]


class Together:
    """Students of a space that keeps the teacher's interface, recalibrated as ``recalibrate`` would do one by one.

    The operations are the supernets' own; their BatchNorm statistics change, their weights do not.

    Args:
        stem: The teacher's stem. Like the head, it must not be in use elsewhere: its statistics change.
        supernets: The supernet of every block, in order.
        head: The teacher's head.
        architectures: The students, each different from the others.
        calibration: Gives normalised images [N, C, H, W], on which BatchNorm statistics are measured.
        memory_bytes: Limit of the calibration features that are held at once. Where students part and the features
            are more, they are computed again for each branch. The numbers stay the same.
    """

    def __init__(
        self,
        stem: nn.Module,
        supernets: Sequence[BlockSupernet],
        head: nn.Module,
        architectures: Sequence[Architecture],
        calibration: Batches,
        memory_bytes: int,
    ) -> None:
        self._root = _Node(stem)
        for index, architecture in enumerate(architectures):
            node = self._root
            for supernet, path in zip(supernets, architecture.paths, strict=True):
                for layer, operation in enumerate(supernet.operations(path)):
                    key = (path.block_id, path.cell, layer, path.choices[layer])
                    node = node.children.setdefault(key, _Node(operation))
            node.children["head"] = _Node(head, student=index)
        with torch.no_grad():
            _calibrate(self._root, calibration, memory_bytes)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the position of each student and its logits [N, classes] for normalised images [N, C, H, W]."""
        yield from _run(self._root, images)


def _calibrate(node: _Node, inputs: Batches, memory_bytes: int) -> None:
    """Measure the statistics of a node and of all behind it; ``inputs`` gives the batches that enter the node."""
    outputs: Batches = partial(_through, node, inputs)
    if not node.children:
        for _ in outputs():
            pass
    elif len(node.children) > 1:
        held, size = [], 0
        for batch in outputs():
            held.append(batch)
            size += batch.nbytes
            if size > memory_bytes:
                break
        if size <= memory_bytes:
            outputs, memory_bytes = partial(iter, held), memory_bytes - size
        del held
    for child in node.children.values():
        _calibrate(child, outputs, memory_bytes)


def _through(node: _Node, inputs: Batches) -> Iterator[Tensor]:
    """Run a node's operation on its batches, each with the batch's own statistics, and keep their mean at the end."""
    with measuring(node.operation):
        for batch in inputs():
            yield node.operation(batch)
    node.moments = [(mean.clone(), variance.clone()) for mean, variance in node.statistics()]


def _run(node: _Node, x: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Run a node and all behind it, depth first, with the statistics that belong to the node."""
    node.operation.eval()
    for statistics, (mean, variance) in zip(node.statistics(), node.moments, strict=True):
        statistics[0].copy_(mean)
        statistics[1].copy_(variance)
    y = node.operation(x)
    if node.student >= 0:
        yield node.student, y
    for child in node.children.values():
        yield from _run(child, y)


def losses_together(students: Together, num_students: int, part: ImageSet, device: torch.device) -> Tensor:
    """Compute the cross-entropy (natural log) of each image of a part by each student, float64 [students, N].

    The losses are those of ``helixnas.fit.image_losses``, to rounding.
    """
    size = room_for(part.in_shape)
    losses = torch.empty(num_students, len(part), dtype=torch.float64)
    for images, labels, some in zip(
        part.normalized_batches(), part.labels.split(size), losses.split(size, dim=1), strict=True
    ):
        for index, logits in students.logits(images.to(device)):
            some[index] = cross_entropy(logits.float().cpu().double(), labels, reduction="none")
    return losses
