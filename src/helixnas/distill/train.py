"""Train one block's supernet to imitate the teacher's block: its input is Y_{k-1}, its target Y_k (DNA, Eq. 5)."""

from typing import Any

import torch
from torch import Tensor

from helixnas.config.schema import Distill
from helixnas.data import derive_seed
from helixnas.distill.compiling import compile_operations
from helixnas.distill.path_sampler import SAMPLERS, Sampler, trainable_cells
from helixnas.fit import Checkpoint, pinned, require_finite
from helixnas.progress import Log
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss


class Distillation:
    """The training of one supernet, resumable after each epoch and repeatable to the bit.

    One path a step. Candidates that the step does not run get no gradient and no decay, so nothing moves unseen.
    Nothing here depends on what else the process does between two steps: blocks may take turns.
    """

    def __init__(
        self,
        supernet: BlockSupernet,
        block: BlockSpace,
        loss: DistillLoss,
        settings: Distill,
        seed: int,
        steps_per_epoch: int,
    ) -> None:
        self.block_id = block.block_id
        self.epoch = 0
        """How many epochs are done."""
        self.supernet, self._num_epochs, self._steps_per_epoch = supernet, settings.epochs, steps_per_epoch
        self._loss, self._seed = loss, seed
        self._sampler: Sampler = SAMPLERS[settings.sampler](block, seed)
        parameters = [p for index in trainable_cells(block) for p in supernet.cells[index].parameters()]
        parameters += supernet.adapters.parameters()
        self._optimizer = torch.optim.AdamW(parameters, settings.lr, weight_decay=settings.weight_decay, fused=True)
        if settings.compile:
            compile_operations(supernet, block)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, settings.lr, self.num_steps + 1, pct_start=0.1
        )
        self._total = 0.0

    @property
    def is_done(self) -> bool:
        return self.epoch >= self._num_epochs

    @property
    def num_steps(self) -> int:
        """Of all epochs."""
        return self._num_epochs * self._steps_per_epoch

    @property
    def num_steps_before(self) -> int:
        """Of the epochs that are done."""
        return self.epoch * self._steps_per_epoch

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from where ``checkpoint`` was saved, if it was."""
        state = checkpoint.load()
        if state is not None:
            self.supernet.load_state_dict(state["supernet"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._schedule.load_state_dict(state["schedule"])
            self.epoch = int(state["epoch"])

    def begin_epoch(self) -> None:
        self.supernet.train()
        self._total = 0.0

    def step(self, offset: int, batch: BlockBatch) -> None:
        """The step ``offset`` of this epoch; DivergenceError, and no step, if the loss is no number."""
        step = self.num_steps_before + offset
        with pinned(derive_seed(self._seed, "step", step)):  # for dropout
            loss = self._loss_of(step, batch)
        name = f"distill_loss of block {self.block_id}"
        lr = self._optimizer.param_groups[0]["lr"]
        tensors = {"inputs": batch.inputs, "targets": batch.targets}
        self._total += require_finite(loss, name, step, "distill.lr", lr, tensors)
        if loss.requires_grad:  # a path without a weight, such as a block with all its layers dropped, learns nothing
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
        self._schedule.step()

    def _loss_of(self, step: int, batch: BlockBatch) -> Tensor:
        device = batch.inputs.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            outputs = self.supernet(batch.inputs, self._sampler(step))
        return self._loss(outputs.float(), self.supernet.aim(batch.targets))

    def end_epoch(self, checkpoint: Checkpoint, log: Log) -> None:
        """Log ``distill_loss``, the mean of the epoch, and save the state."""
        log("distill_loss", self._total / self._steps_per_epoch, self.epoch)
        self.epoch += 1
        self.supernet.eval()
        checkpoint.save(self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "supernet": self.supernet.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
