"""The loss from which a student learns: its labels, the teacher's logits, and the outputs of the teacher's blocks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from helixnas.config.schema import Distillation
from helixnas.cut import CutTeacher
from helixnas.errors import ConfigError
from helixnas.fit import Batch
from helixnas.student import StudentNetwork
from helixnas.teacher import DistillLoss, FeatureCache, cut_features


class GuidedLoss:
    """The weighted sum of up to three losses of a batch; the teacher's two come from one pass of the teacher.

    The loss of the labels is the cross-entropy, summed over the images that have a label (-1 means none) and divided by
    the number of all images. The loss of the logits is the divergence from the teacher's softened logits (Hinton et al.
    2015, arXiv 1503.02531). The loss of the features is the mean over blocks of the squared error over the teacher's
    variance.

    Args:
        teacher: In eval mode, so that its BatchNorm statistics stay as they are.
        variances: Of each block's output by channel, [C] each. None, where the outputs of the student's blocks cannot
            be compared with those of the teacher: then the weight of the features counts as 0.
        settings: The weights and the temperature.
        label_smoothing: Of the labels, 0 to 1.
        cache: The teacher's features of the train part's views, so that a batch of known views needs no pass.

    Raises:
        ConfigError: The features alone have a weight, and cannot be compared.
    """

    def __init__(
        self,
        teacher: CutTeacher,
        variances: Sequence[Tensor] | None,
        settings: Distillation,
        label_smoothing: float,
        cache: FeatureCache | None = None,
    ) -> None:
        self._teacher, self._settings, self._label_smoothing = teacher, settings, label_smoothing
        self._cache = cache
        uses_features = variances is not None and settings.features > 0
        self._feature_losses = [DistillLoss(variance) for variance in variances or ()] if uses_features else []
        if not (settings.labels or settings.logits or uses_features):
            raise ConfigError(
                "retrain.distillation.labels or logits must be above 0 where the student's blocks have widths of their "
                "own, which the teacher's features cannot be compared with, but both are 0. Change them in params.yaml."
            )

    def __call__(self, student: nn.Module, batch: Batch) -> Tensor:
        """Compute the loss of a batch, a scalar."""
        features: list[Tensor] = []
        if self._feature_losses:
            assert isinstance(student, StudentNetwork)
            features = student.features(batch.inputs)
            logits = student.head(features[-1])
        else:
            logits = student(batch.inputs)
        loss: Tensor | float = 0.0
        if self._settings.labels:
            options: dict[str, Any] = {"ignore_index": -1, "label_smoothing": self._label_smoothing, "reduction": "sum"}
            loss = self._settings.labels * (cross_entropy(logits, batch.labels, **options) / len(batch.labels))
        return loss + self._teachers_loss(batch, features, logits)

    def _teachers_loss(self, batch: Batch, features: Sequence[Tensor], logits: Tensor) -> Tensor:
        loss = logits.new_zeros(())
        if not (self._settings.logits or self._feature_losses):
            return loss
        with torch.no_grad(), torch.autocast(batch.inputs.device.type, enabled=False):  # as the cache was filled
            if self._cache is None or batch.views is None:
                _, *targets = cut_features(self._teacher, batch.inputs, len(self._teacher.blocks))
            else:
                targets = self._cache.outputs(batch.views, batch.inputs.device)
            answer = self._teacher.head(targets[-1])
        if self._settings.logits:
            temperature = self._settings.temperature
            learnt, wanted = (log_softmax(some / temperature, dim=1) for some in (logits, answer))
            divergence = kl_div(learnt, wanted, reduction="batchmean", log_target=True)
            # times the temperature's square, since gradients shrink by this factor
            loss = loss + self._settings.logits * (divergence * temperature**2)
        for feature_loss, feature, target in zip(self._feature_losses, features, targets, strict=False):
            block_loss = feature_loss(feature.float(), target.float())
            loss = loss + self._settings.features / len(targets) * block_loss
        return loss
