"""Train a chosen student alone, guided by the teacher, and keep the initial student where that is better."""

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.config.schema import Retrain
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet, num_batches
from helixnas.errors import ArtifactError
from helixnas.fit import Checkpoint, Fit, accuracy
from helixnas.progress import Log, Progress
from helixnas.results import Retraining
from helixnas.retrain.guided_loss import GuidedLoss
from helixnas.retrain.lr_range import RangeTest, max_steps, range_test
from helixnas.student import quicken
from helixnas.teacher import FeatureCache


def retrain(
    student: nn.Module,
    teacher: CutTeacher,
    train: ImageSet,
    validation: ImageSet,
    settings: Retrain,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
    log: Log,
    progress: Progress,
    num_loaders: int = 0,
    variances: Sequence[Tensor] | None = None,
    cache: FeatureCache | None = None,
) -> tuple[Retraining, RangeTest | None]:
    """Train ``student`` in place on ``train``; it ends in eval mode with averaged weights, or with its initial weights.

    Of the student before and after, the one with the higher accuracy on ``validation`` is kept; the trained one, where
    they are equal. Where the recipe leaves the learning rate open, a range test on ``validation`` finds the rate.
    ``validation`` decides nothing else: the last epoch is the result.

    Args:
        student: Recalibrated, so that it is as good as it can be before retraining.
        teacher: In eval mode.
        train: The images to train on.
        validation: The rating part.
        settings: The recipe, and the weights of the losses.
        seed: Of the order of images and their augmentation.
        device: Where to train.
        checkpoint: A half-done training; the result of the range test is kept beside it.
        log: Takes the curves.
        progress: Takes the steps.
        num_loaders: Processes that augment images ahead.
        variances: Of each teacher block's output by channel, [C] each, where the student's blocks have the same
            outputs; else None, and the student is not compared with the teacher's features.
        cache: The teacher's features of the views of ``train``; without a cache, each batch needs a pass of the
            teacher.

    Returns:
        Which of the two students was kept, and the range test, if there was one.
    """
    quicken(student)  # blocks that are copies of the teacher's
    student.to(device)
    teacher.to(device)
    teacher.network.to(memory_format=torch.channels_last)  # up to 2.5 times as fast, and as its features are cached
    initial = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    initial_acc = accuracy(student, validation)
    loss = GuidedLoss(teacher, variances, settings.distillation, settings.recipe.label_smoothing, cache)
    lr, test, num_tried = settings.recipe.lr, None, 0
    if lr == "auto":
        num_tried = max_steps(len(train), settings.recipe.batch_size)
        num_steps = settings.recipe.epochs * num_batches(len(train), settings.recipe.batch_size)
        where = device, lambda done, _: progress(done, num_tried + num_steps), num_loaders
        path = checkpoint.path.with_name("lr.json")
        try:
            test = RangeTest.from_json(artifacts.load_json(path, "lr"))
        except ArtifactError:  # no range test has finished yet
            test = range_test(student, train, validation, settings.recipe.at, loss, seed, *where)
            artifacts.save_json(path, "lr", asdict(test))
        lr = test.lr
    fit = Fit(student, train, settings.recipe.at(lr), "retrain.recipe", seed, device, loss, num_loaders)
    fit.run(
        checkpoint,
        lambda network: accuracy(network, validation),
        log,
        lambda done, total: progress(num_tried + done, num_tried + total),
    )
    retrained_acc = accuracy(student, validation)
    if retrained_acc < initial_acc:
        student.load_state_dict(initial)
    return Retraining("initial" if retrained_acc < initial_acc else "retrained", initial_acc, retrained_acc), test
