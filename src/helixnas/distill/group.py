"""Train several blocks in one process: each batch passes the teacher once and trains every block of the group."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from helixnas.blocks import BlockSpec
from helixnas.distill.train import Distillation
from helixnas.errors import CollapseError, DivergenceError
from helixnas.fit import Checkpoint
from helixnas.progress import Log, Progress

Batches = Callable[[int, Sequence[int]], Iterable[Sequence[Any]]]
"""Function from an epoch, counted from 0, and block_ids to the steps of the epoch: one batch per block_id, each step.

The same epoch gives the same batches each time.
"""


def partition(specs: Sequence[BlockSpec], num_groups: int) -> list[list[int]]:
    """Divide blocks among groups so that each group takes about as long: block k leads group k, the others fill up.

    All blocks of a network have about as many multiply-adds, because widths grow where maps shrink. Beside that, time
    grows with the values in a block's input and output. Half of a block's estimated work is equal for all blocks, half
    is proportional to these values.

    Args:
        specs: All blocks, by block_id.
        num_groups: The most groups to make; there are never more groups than blocks.

    Returns:
        The block_ids of each group.
    """
    values = [math.prod(spec.in_shape) + math.prod(spec.out_shape) for spec in specs]
    work = [1 / len(specs) + value / sum(values) for value in values]
    groups = [[block_id] for block_id in range(min(num_groups, len(specs)))]
    for block_id in range(len(groups), len(specs)):
        least = min(groups, key=lambda group: sum(work[member] for member in group))
        least.append(block_id)
    return groups


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """The training of one block, with the file that keeps its state and the log of its numbers."""

    training: Distillation
    checkpoint: Checkpoint
    log: Log


def train_group(required: Member, others: Sequence[Member], batches: Batches, progress: Progress) -> None:
    """Train ``required`` to its end and, beside it, ``others``, each from its last checkpoint on.

    A block trains to the same bits alone and in any group. A block of ``others`` whose loss is not finite, or which has
    collapsed, is left at its last checkpoint: the process that trains that block as ``required`` will come to the same
    step and raise.

    Args:
        required: The block that this process must finish.
        others: Blocks that train along, as the teacher's features are there anyway.
        batches: Gives the batches of an epoch for the blocks at work.
        progress: Told of the steps of ``required``.

    Raises:
        DivergenceError: The loss of ``required`` is not finite.
        CollapseError: The embeddings of ``required`` do not tell images apart any more.
    """
    group = sorted([required, *others], key=lambda member: member.training.block_id)
    for member in group:
        member.training.restore(member.checkpoint)
    while not required.training.is_done:
        waiting = [member for member in group if not member.training.is_done]
        epoch = min(member.training.epoch for member in waiting)
        at_work = [member for member in waiting if member.training.epoch == epoch]
        lost = _train_epoch(
            required, at_work, batches(epoch, [member.training.block_id for member in at_work]), progress
        )
        group = [member for member in group if member not in lost]


def _train_epoch(
    required: Member, at_work: Sequence[Member], batches: Iterable[Sequence[Any]], progress: Progress
) -> list[Member]:
    """Train one epoch of all ``at_work``, which are at the same epoch, and return those that came to nothing.

    In its last epoch, a member may take fewer steps than there are batches.
    """
    lost: list[Member] = []
    for member in at_work:
        member.training.begin_epoch()
    num_steps = max(member.training.num_steps_in_epoch for member in at_work)
    for offset, each in zip(range(num_steps), batches, strict=False):
        for member, batch in zip(at_work, each, strict=True):
            is_needed = member not in lost and offset < member.training.num_steps_in_epoch
            if is_needed and not _step(member, offset, batch, is_required=member is required):
                lost.append(member)
        progress(
            min(at_work[0].training.num_steps_before + offset + 1, required.training.num_steps),
            required.training.num_steps,
        )
    for member in at_work:
        if member not in lost and not _end_epoch(member, is_required=member is required):
            lost.append(member)
    return lost


def _step(member: Member, offset: int, batch: Any, *, is_required: bool) -> bool:
    """Take a step and return whether its loss was finite; the process's main member raises instead."""
    try:
        member.training.step(offset, batch)
    except DivergenceError:
        if is_required:
            raise
        return False
    return True


def _end_epoch(member: Member, *, is_required: bool) -> bool:
    """End the epoch and return whether the member has learnt something; the process's main member raises instead."""
    try:
        member.training.end_epoch(member.checkpoint, member.log)
    except CollapseError:
        if is_required:
            raise
        return False
    return True
