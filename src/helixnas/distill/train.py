"""Train one block's supernet to imitate the teacher's block: its input is Y_{k-1}, its target Y_k (DNA, Eq. 5)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from helixnas.config.schema import Distill
from helixnas.distill.path_sampler import SAMPLERS, Sampler, trainable_cells
from helixnas.fit import Checkpoint, require_finite
from helixnas.progress import Log, Progress
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss

Epoch = Callable[[int], Iterable[BlockBatch]]
"""From the epoch, counted from 0, to its batches; the same epoch gives the same batches."""


class Distillation:
    """The training of one supernet, resumable after each epoch and repeatable to the bit.

    One path a step. Candidates that the step does not run get no gradient and no decay, so nothing moves unseen.
    """

    def __init__(
        self, supernet: BlockSupernet, block: BlockSpace, loss: DistillLoss, settings: Distill, seed: int
    ) -> None:
        self._supernet, self._block, self._loss, self._settings = supernet, block, loss, settings
        self._sampler: Sampler = SAMPLERS[settings.sampler](block, seed)
        parameters = [p for index in trainable_cells(block) for p in supernet.cells[index].parameters()]
        parameters += supernet.adapters.parameters()
        self._optimizer = torch.optim.AdamW(parameters, settings.lr, weight_decay=settings.weight_decay)

    def run(
        self, epoch_batches: Epoch, steps_per_epoch: int, checkpoint: Checkpoint, log: Log, progress: Progress
    ) -> None:
        """Train from the last checkpoint to the end; logs ``distill_loss``, the mean of each epoch."""
        num_steps = self._settings.epochs * steps_per_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimizer, self._settings.lr, num_steps + 1, pct_start=0.1)
        start = self._restore(checkpoint, schedule)
        self._supernet.train()
        for epoch in range(start, self._settings.epochs):
            total = 0.0
            for offset, batch in enumerate(epoch_batches(epoch)):
                step = epoch * steps_per_epoch + offset
                total += self._step(step, batch)
                schedule.step()
                progress(step + 1, num_steps)
            log("distill_loss", total / steps_per_epoch, epoch)
            checkpoint.save(self._state(epoch + 1, schedule))
        self._supernet.eval()

    def _step(self, step: int, batch: BlockBatch) -> float:
        loss = self._loss(self._supernet(batch.inputs, self._sampler(step)), batch.targets)
        name = f"distill_loss of block {self._block.block_id}"
        lr = self._optimizer.param_groups[0]["lr"]
        tensors = {"inputs": batch.inputs, "targets": batch.targets}
        value = require_finite(loss, name, step, "distill.lr", lr, tensors)
        if loss.requires_grad:  # a path without a weight, such as a block with all its layers dropped, learns nothing
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
        return value

    def _state(self, epoch: int, schedule: torch.optim.lr_scheduler.LRScheduler) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "supernet": self._supernet.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }

    def _restore(self, checkpoint: Checkpoint, schedule: torch.optim.lr_scheduler.LRScheduler) -> int:
        state = checkpoint.load()
        if state is None:
            return 0
        self._supernet.load_state_dict(state["supernet"])
        self._optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        return int(state["epoch"])
