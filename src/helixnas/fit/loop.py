"""Train one network: the loop is ours; the optimizer, scheduler, augmentation and EMA are timm's."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helixnas.config.recipes import AnyRecipe, Recipe
from helixnas.data import ImageSet, ahead, derive_seed, epoch_batches, num_batches, room_for
from helixnas.errors import ConfigError
from helixnas.fit.augment import Augmenter, pinned
from helixnas.fit.checkpoint import Checkpoint
from helixnas.fit.guard import require_finite
from helixnas.progress import Log, Progress


class Batch(NamedTuple):
    """Images as a step takes them, with labels and views.

    Attributes:
        inputs: Augmented and normalised images, [B, C, H, W].
        labels: int64 [B], -1 where an image has none.
        views: int64 [B], the view of each input: the row of its image in the train part, plus the size of the part
            where the input is mirrored. None where augmentation does more than flip, so that views do not repeat.
    """

    inputs: Tensor
    labels: Tensor
    views: Tensor | None = None


LossFunction = Callable[[nn.Module, Batch], Tensor]
"""Function from the network in training and a batch to the loss of the batch, a scalar."""


class Fit:
    """The training of one network, resumable after each epoch and repeatable to the bit.

    Args:
        network: Trained in place; it ends in eval mode with its averaged (EMA) weights.
        train: The images to train on.
        recipe: Optimizer, learning rate, number of epochs and augmentation.
        key: The recipe's place in params.yaml, for messages.
        seed: Of the order of images, their augmentation and dropout.
        device: Where to train.
        loss: The loss to train on; None for the cross-entropy of the labels.
        num_loaders: Processes that augment images ahead.
    """

    def __init__(
        self,
        network: nn.Module,
        train: ImageSet,
        recipe: Recipe,
        key: str,
        seed: int,
        device: torch.device,
        loss: LossFunction | None = None,
        num_loaders: int = 0,
    ) -> None:
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._train, self._recipe, self._key, self._seed, self._device = train, recipe, key, seed, device
        self._loss, self._num_loaders = loss or self._label_loss, num_loaders
        self._augmenter = Augmenter(recipe.augment, train.in_shape[1], train.mean, train.std)
        self._steps_per_epoch = num_batches(len(train), recipe.batch_size)
        self._optimizer = _optimizer(network, recipe, key)
        from timm.utils import ModelEmaV3  # timm takes seconds to load, and those who only judge a network need none

        self._ema = ModelEmaV3(network, decay=recipe.ema_decay, use_warmup=True)
        self._scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def run(self, checkpoint: Checkpoint, validate: Callable[[nn.Module], float], log: Log, progress: Progress) -> None:
        """Train from the last checkpoint to the end.

        Args:
            checkpoint: Where the state is kept after each epoch.
            validate: Gives the accuracy of the averaged network for the curve ``val_acc``, and decides nothing.
            log: Takes ``train_loss`` and ``val_acc`` of each epoch.
            progress: Told after each step.

        Raises:
            DivergenceError: The loss is not finite.
        """
        recipe, steps = self._recipe, self._steps_per_epoch
        num_warmup_epochs = min(recipe.warmup_epochs, max(0, recipe.epochs - 1))
        scheduler = _scheduler(self._optimizer, recipe.lr, max(1, recipe.epochs) * steps, num_warmup_epochs * steps)
        parts = {
            "network": self._network,
            "ema": self._ema.module,
            "optimizer": self._optimizer,
            "scaler": self._scaler,
        }
        start, saved = 0, checkpoint.load()
        if saved is not None:
            start = saved["epoch"]
            for name, part in parts.items():
                part.load_state_dict(saved[name])
        for epoch in range(start, recipe.epochs):
            self._network.train()
            total = 0.0
            for step, batch in self._batches(epoch, steps):
                loss = self._step(step, scheduler, batch)
                lr, kept = self._optimizer.param_groups[0]["lr"], {"inputs": batch.inputs}
                total += require_finite(loss, f"loss of {self._key}", step, f"{self._key}.lr", lr, kept)
                progress(step + 1, recipe.epochs * steps)
            log("train_loss", total / steps, epoch)
            log("val_acc", validate(self._ema.module), epoch)
            checkpoint.save({"epoch": epoch + 1, **{name: part.state_dict() for name, part in parts.items()}})
        self._network.load_state_dict(self._ema.module.state_dict())
        self._network.eval()

    def rehearse(self, num_steps: int) -> nn.Module:
        """Train ``num_steps`` steps of one epoch, with warm-up and decay inside them, and return the averaged network.

        Nothing is saved, and a loss that is not finite is no error: the caller sees the resulting network.
        """
        scheduler = _scheduler(self._optimizer, self._recipe.lr, num_steps, num_steps // 5)
        self._network.train()
        for step, batch in self._batches(0, num_steps):
            self._step(step, scheduler, batch)
        averaged: nn.Module = self._ema.module.eval()
        return averaged

    def _batches(self, epoch: int, num_steps: int) -> Iterator[tuple[int, Batch]]:
        """The first ``num_steps`` steps of an epoch, each with its batch."""
        order_seed, num_images = derive_seed(self._seed, "order", epoch), len(self._train)
        batches = list(epoch_batches(num_images, self._recipe.batch_size, order_seed))[:num_steps]
        first = epoch * self._steps_per_epoch
        images = ahead(
            lambda offset: self._augmenter(self._train.read(batches[offset]), self._seed_of(first + offset)),
            range(len(batches)),
            self._num_loaders,
        )
        for step, (rows, inputs) in enumerate(zip(batches, images, strict=True), start=first):
            flips_alone = not self._recipe.augment.beyond_flips
            views = self._augmenter.views(rows, num_images, self._seed_of(step)) if flips_alone else None
            yield step, Batch(inputs.to(self._device), self._train.labels[rows].to(self._device), views)

    def _seed_of(self, step: int) -> int:
        return derive_seed(self._seed, "step", step)

    def _step(self, step: int, scheduler: Any, batch: Batch) -> Tensor:
        scheduler.step_update(step)
        with pinned(self._seed_of(step)), torch.autocast(self._device.type, enabled=self._device.type == "cuda"):
            loss = self._loss(self._network, batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._ema.update(self._network, step=step)
        return loss.detach()

    def _label_loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return cross_entropy(network(batch.inputs), batch.labels, label_smoothing=self._recipe.label_smoothing)


def require_known(recipe: AnyRecipe, key: str) -> None:
    """Check that timm makes the recipe's optimizer and its augmentation, to fail before a run and not hours later.

    Args:
        recipe: The recipe to check.
        key: The recipe's place in params.yaml, for the message.

    Raises:
        ConfigError: timm does not know the optimizer or the augmentation.
    """
    _optimizer(nn.Linear(1, 1), Recipe(**{**recipe.model_dump(), "lr": 1.0}), key)
    Augmenter(recipe.augment, 8, (0.5,), (0.5,))


def _optimizer(network: nn.Module, recipe: Recipe, key: str) -> torch.optim.Optimizer:
    from timm.optim import create_optimizer_v2

    try:
        made: torch.optim.Optimizer = create_optimizer_v2(
            network, opt=recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay
        )
    except (AssertionError, ValueError) as error:
        raise ConfigError(
            f"{key}.optimizer must be one that timm.optim makes, but is {recipe.optimizer!r}: {error}"
        ) from error
    return made


def _scheduler(optimizer: torch.optim.Optimizer, lr: float, num_steps: int, num_warmup_steps: int) -> Any:
    """Cosine decay to zero over all steps, after a linear warm-up."""
    from timm.scheduler import create_scheduler_v2

    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=num_steps,
        warmup_epochs=num_warmup_steps,
        warmup_lr=lr / 100,
        warmup_prefix=False,
        min_lr=0.0,
        step_on_epochs=False,
        updates_per_epoch=1,
    )
    return scheduler


@torch.inference_mode()
def predict(network: nn.Module, part: ImageSet) -> Iterator[Tensor]:
    """Yield the logits [B, classes] of a part's images, batch by batch, on the CPU; the network is put into eval mode.

    A part may have a million images of a thousand classes, so that all logits would not fit into memory.
    """
    network.eval()
    device = next(network.parameters()).device
    for images in part.normalized_batches():
        yield network(images.to(device)).float().cpu()


def top1(network: nn.Module, part: ImageSet) -> Tensor:
    """Compute the likeliest class of each image of a part, int64 [N], on the CPU."""
    classes = torch.empty(len(part), dtype=torch.int64)
    _fill(classes, network, part, lambda logits, _: logits.argmax(dim=1))
    return classes


def _fill(values: Tensor, network: nn.Module, part: ImageSet, value: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Fill a value for each image from its logits and its label.

    A list of small tensors, one a batch, would lie scattered over the memory that the next batch needs in one piece.
    """
    size = room_for(part.in_shape)
    for some, labels, logits in zip(values.split(size), part.labels.split(size), predict(network, part), strict=True):
        some.copy_(value(logits, labels))


def accuracy(network: nn.Module, part: ImageSet) -> float:
    """Compute the top-1 accuracy (0 to 1) of a network on a part."""
    return float((top1(network, part) == part.labels).double().mean())


def image_losses(network: nn.Module, part: ImageSet) -> Tensor:
    """Compute the cross-entropy (natural log) of each image of a part, float64 [N], on the CPU.

    Their mean is the val_loss.
    """
    losses = torch.empty(len(part), dtype=torch.float64)
    _fill(losses, network, part, lambda logits, labels: cross_entropy(logits.double(), labels, reduction="none"))
    return losses
