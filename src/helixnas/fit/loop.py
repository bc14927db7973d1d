"""Train one network: the loop is ours, the optimizer, scheduler, augmentation and EMA are timm's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from helixnas.config.schema import Recipe
from helixnas.data import ImageSet, derive_seed, epoch_batches, num_batches
from helixnas.errors import ConfigError
from helixnas.fit.ahead import ahead
from helixnas.fit.augment import Augmenter, pinned
from helixnas.fit.checkpoint import Checkpoint
from helixnas.fit.guard import require_finite
from helixnas.progress import Log, Progress


@dataclass(frozen=True, slots=True)
class LogitDistillation:
    """Learn from a teacher's logits beside the labels (Hinton et al. 2015, arXiv 1503.02531)."""

    teacher: nn.Module
    weight: float
    temperature: float

    def __call__(self, inputs: Tensor, logits: Tensor, label_loss: Tensor) -> Tensor:
        with torch.no_grad():
            targets = log_softmax(self.teacher(inputs) / self.temperature, dim=1)
        student = log_softmax(logits / self.temperature, dim=1)
        # gradients of softened logits shrink with the square of the temperature: scale them back
        soft = kl_div(student, targets, reduction="batchmean", log_target=True) * self.temperature**2
        return (1 - self.weight) * label_loss + self.weight * soft


class Fit:
    """The training of one network on ``train``, resumable after each epoch and repeatable to the bit.

    ``key`` is the recipe's place in params.yaml, for messages. The network ends with its averaged (EMA) weights.
    """

    def __init__(
        self,
        network: nn.Module,
        train: ImageSet,
        recipe: Recipe,
        key: str,
        seed: int,
        device: torch.device,
        distillation: LogitDistillation | None = None,
        num_loaders: int = 0,
    ) -> None:
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._train, self._recipe, self._key, self._seed, self._device = train, recipe, key, seed, device
        self._distillation, self._num_loaders = distillation, num_loaders
        self._augmenter = Augmenter(recipe.augment, train.in_shape[1], train.mean, train.std)
        self._steps_per_epoch = num_batches(len(train), recipe.batch_size)
        self._optimizer = _optimizer(network, recipe, key)
        self._scheduler = _scheduler(self._optimizer, recipe, self._steps_per_epoch)
        self._ema = ModelEmaV3(network, decay=recipe.ema_decay, use_warmup=True)
        self._scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def run(self, checkpoint: Checkpoint, validate: Callable[[nn.Module], float], log: Log, progress: Progress) -> None:
        """Train from the last checkpoint to the end. ``validate`` gives the curve ``val_acc``, and chooses nothing."""
        start = self._restore(checkpoint)
        for epoch in range(start, self._recipe.epochs):
            train_loss = self._epoch(epoch, progress)
            log("train_loss", train_loss, epoch)
            log("val_acc", validate(self._ema.module), epoch)
            checkpoint.save(self._state(epoch + 1))
        self._network.load_state_dict(self._ema.module.state_dict())
        self._network.eval()

    def _epoch(self, epoch: int, progress: Progress) -> float:
        self._network.train()
        total = 0.0
        order_seed = derive_seed(self._seed, "order", epoch)
        batches = list(epoch_batches(len(self._train), self._recipe.batch_size, order_seed))
        first = epoch * self._steps_per_epoch

        def augmented(offset: int) -> Tensor:
            return self._augmenter(self._train.images[batches[offset]], self._seed_of(first + offset))

        images = ahead(augmented, range(len(batches)), self._num_loaders)
        for step, (rows, inputs) in enumerate(zip(batches, images, strict=True), start=first):
            total += self._step(step, inputs.to(self._device), self._train.labels[rows].to(self._device))
            progress(step + 1, self._recipe.epochs * self._steps_per_epoch)
        return total / self._steps_per_epoch

    def _seed_of(self, step: int) -> int:
        return derive_seed(self._seed, "step", step)

    def _step(self, step: int, inputs: Tensor, labels: Tensor) -> float:
        self._scheduler.step_update(step)
        with pinned(self._seed_of(step)), torch.autocast(self._device.type, enabled=self._device.type == "cuda"):
            loss = self._loss(inputs, labels)
        lr = self._optimizer.param_groups[0]["lr"]
        value = require_finite(loss, f"loss of {self._key}", step, f"{self._key}.lr", lr, {"inputs": inputs})
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._ema.update(self._network, step=step)
        return value

    def _loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = self._network(inputs)
        loss = cross_entropy(logits, labels, label_smoothing=self._recipe.label_smoothing)
        return loss if self._distillation is None else self._distillation(inputs, logits, loss)

    def _state(self, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "network": self._network.state_dict(),
            "ema": self._ema.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def _restore(self, checkpoint: Checkpoint) -> int:
        state = checkpoint.load()
        if state is None:
            return 0
        self._network.load_state_dict(state["network"])
        self._ema.module.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        return int(state["epoch"])


def _optimizer(network: nn.Module, recipe: Recipe, key: str) -> torch.optim.Optimizer:
    try:
        made: torch.optim.Optimizer = create_optimizer_v2(
            network, opt=recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay
        )
    except (AssertionError, ValueError) as error:
        raise ConfigError(
            f"{key}.optimizer must be one that timm.optim makes, but is {recipe.optimizer!r}: {error}"
        ) from error
    return made


def _scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int) -> Any:
    """Cosine decay to zero over all steps, after a linear warm-up."""
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=max(1, recipe.epochs),
        warmup_epochs=min(recipe.warmup_epochs, max(0, recipe.epochs - 1)),
        warmup_lr=recipe.lr / 100,
        warmup_prefix=False,
        min_lr=0.0,
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
    )
    return scheduler


@torch.inference_mode()
def predict(network: nn.Module, part: ImageSet) -> Tensor:
    """The logits [N, classes] of a part's images, on the CPU, in eval mode."""
    network.eval()
    device = next(network.parameters()).device
    return torch.cat([network(images.to(device)).float().cpu() for images in part.normalized_batches()])


def accuracy(network: nn.Module, part: ImageSet) -> float:
    """Top-1 accuracy (0 to 1) on a part."""
    return float((predict(network, part).argmax(dim=1) == part.labels).double().mean())


def validation_loss(network: nn.Module, part: ImageSet) -> float:
    """Mean cross-entropy (natural log) on a part, summed in float64."""
    return float(cross_entropy(predict(network, part).double(), part.labels))
