"""Train a chosen student alone, with the teacher's logits beside the labels."""

import torch
from torch import nn

from helixnas.config.schema import Retrain
from helixnas.data import ImageSet
from helixnas.fit import Checkpoint, Fit, LogitDistillation, accuracy
from helixnas.progress import Log, Progress
from helixnas.student import quicken


def retrain(
    student: nn.Module,
    teacher: nn.Module,
    train: ImageSet,
    validation: ImageSet,
    settings: Retrain,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
    log: Log,
    progress: Progress,
    num_loaders: int = 0,
) -> None:
    """Train ``student`` in place on ``train``; it ends in eval mode with averaged weights.

    ``validation`` draws the curve ``val_acc`` and decides nothing: the last epoch is the result.
    """
    quicken(student)  # the blocks that are the teacher's own
    kd = settings.distillation
    distillation = LogitDistillation(teacher.to(device).eval(), kd.weight, kd.temperature) if kd.weight else None
    fit = Fit(student, train, settings.recipe, "retrain.recipe", seed, device, distillation, num_loaders)
    fit.run(checkpoint, lambda network: accuracy(network, validation), log, progress)
