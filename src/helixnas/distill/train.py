"""Train one block's supernet, path by path, on what its lesson says."""

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from helixnas.config.schema import Distill
from helixnas.data import derive_seed
from helixnas.distill.compiling import compile_operations
from helixnas.distill.path_sampler import SAMPLERS, Sampler, trainable_cells
from helixnas.distill.supervision import Lesson
from helixnas.fit import Checkpoint, pinned, require_finite
from helixnas.progress import Log
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet

TEACHER_LR_SCALE = 0.1
"""Layers of the teacher are trained already: their learning rate is this share of the rate of fresh candidates."""


class Distillation:
    """The training of one supernet, resumable after each epoch and repeatable to the bit.

    Candidates that a step does not run get no gradient and no weight decay, so they do not move. Nothing depends on the
    work of the process between two steps: several blocks may take turns.

    Args:
        supernet: Trained in place; it ends in eval mode.
        block: The space of the supernet.
        lesson: Gives the loss of each path of a step.
        settings: The section ``distill`` of params.yaml.
        seed: Of the paths and of dropout.
        steps_per_epoch: Batches in one pass over the train part. The last epoch ends when all steps are done.
    """

    def __init__(
        self,
        supernet: BlockSupernet,
        block: BlockSpace,
        lesson: Lesson,
        settings: Distill,
        seed: int,
        steps_per_epoch: int,
    ) -> None:
        self.block_id = block.block_id
        self.epoch = 0
        """Number of finished epochs."""
        self.supernet, self._steps_per_epoch = supernet, steps_per_epoch
        self._lesson, self._seed = lesson, seed
        self._sampler: Sampler = SAMPLERS[settings.sampler](block, settings.updates, seed)
        groups = _parameter_groups(supernet, block, settings.lr, lesson)
        self._optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        if settings.compile:
            compile_operations(supernet, block)
        total = max(2, self.num_steps + 1)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            [group["lr"] for group in groups],
            total,
            pct_start=max(0.1, 2 / total),  # a warm-up of one step at least, which OneCycleLR needs
        )
        self._total = 0.0

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.num_steps_before >= self.num_steps

    @property
    def num_steps(self) -> int:
        """Number of steps of the whole training."""
        return self._sampler.num_steps

    @property
    def num_steps_before(self) -> int:
        """Number of steps of the finished epochs."""
        return self.epoch * self._steps_per_epoch

    @property
    def num_steps_in_epoch(self) -> int:
        """Number of steps of the next epoch."""
        return min(self._steps_per_epoch, self.num_steps - self.num_steps_before)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from the state in ``checkpoint``; if nothing was saved there, start from the beginning."""
        state = checkpoint.load()
        if state is not None:
            self.supernet.load_state_dict(state["supernet"])
            self._lesson.beside.load_state_dict(state["beside"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._schedule.load_state_dict(state["schedule"])
            self.epoch = int(state["epoch"])

    def begin_epoch(self) -> None:
        """Put the supernet into train mode and start a new mean of the loss."""
        self.supernet.train()
        self._lesson.beside.train()
        self._total = 0.0

    @property
    def beside(self) -> dict[str, Tensor]:
        """The tensors to save beside the supernet's weights."""
        return dict(self._lesson.beside.state_dict())

    def step(self, offset: int, batch: Any) -> None:
        """Train the weights once: run each path of the step on the batch, then let the optimizer move.

        Args:
            offset: Number of the step within this epoch, counted from 0.
            batch: The block's batch, as the lesson's supervision makes it.

        Raises:
            DivergenceError: The loss is not finite. Then no weight has moved.
        """
        step = self.num_steps_before + offset
        paths = self._sampler(step)
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._lesson.losses(batch, paths)
        for index in range(len(paths)):
            with pinned(derive_seed(self._seed, "step", step, index)):  # for dropout
                loss = next(losses)
            self._total += self._require_finite(loss, step, batch) / len(paths)
            if loss.requires_grad:  # false for a path without weights, such as a block with all its layers dropped
                loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._lesson.after_step((step + 1) / self.num_steps)

    def _require_finite(self, loss: Tensor, step: int, batch: Any) -> float:
        name, lr = f"distill_loss of block {self.block_id}", self._optimizer.param_groups[0]["lr"]
        tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
        return require_finite(loss, name, step, "distill.lr", lr, tensors)

    def end_epoch(self, checkpoint: Checkpoint, log: Log) -> None:
        """Log ``distill_loss``, the mean over the steps of the epoch, and what the lesson measured; save the state.

        Raises:
            CollapseError: The lesson found that the supernet learns nothing any more. Nothing is saved then.
        """
        log("distill_loss", self._total / self.num_steps_in_epoch, self.epoch)
        self._lesson.end_epoch(self.epoch, log)
        self.epoch += 1
        self.supernet.eval()
        self._lesson.beside.eval()
        checkpoint.save(self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "supernet": self.supernet.state_dict(),
            "beside": self.beside,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }


def _parameter_groups(supernet: BlockSupernet, block: BlockSpace, lr: float, lesson: Lesson) -> list[dict[str, Any]]:
    """Fresh candidates, adapters and what learns beside them at ``lr``, what the teacher trained at a share of it.

    A block with nothing to learn gets an unused parameter, since an optimizer must have at least one.
    """
    fresh, inherited = list(supernet.adapters.parameters()), list[nn.Parameter]()
    for index in trainable_cells(block):
        members = inherited if block.cells[index].is_of_teacher and not lesson.is_untaught else fresh
        members.extend(supernet.cells[index].parameters())
    groups = [{"params": fresh, "lr": lr}, {"params": inherited, "lr": TEACHER_LR_SCALE * lr}]
    fresh.extend(parameter for parameter in lesson.beside.parameters() if parameter.requires_grad)
    return [group for group in groups if group["params"]] or [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr}]
