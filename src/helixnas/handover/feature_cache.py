"""The cache of the teacher's features, which distill makes and retrain and compare read on."""

import hashlib

import torch

from helixnas import source
from helixnas.artifacts import CACHE, folder, must_exist
from helixnas.config.recipes import Augment
from helixnas.cut import CutTeacher
from helixnas.data import INDEX, ImageSet
from helixnas.distill import FeatureBatches, may_cache
from helixnas.handover.setting import Setting
from helixnas.teacher import FeatureCache, feature_bytes

FEATURES = CACHE / "features"
TRAIN = folder("data") / "train" / INDEX
TEACHER = folder("teacher") / "teacher.safetensors"
CUT = folder("teacher") / "cut.json"
CODE = folder("custom") / "teacher.json"


def fill_from_cache(batches: FeatureBatches, augment: Augment, teacher: CutTeacher, setting: Setting) -> None:
    """Let ``batches`` read the teacher's features from disk, where there may be a cache of them. It is made if needed.

    The result of a training is the same to the bit with and without it.

    Args:
        batches: Of ``teacher`` and the train part.
        augment: The augmentation of ``batches``.
        teacher: With its weights in the memory format of channels last.
        setting: Of the stage.
    """
    root = setting.root / FEATURES
    if may_cache(setting.config.teacher, augment, feature_bytes(teacher.specs, batches.num_views), root):
        code = source.stage_digest("distill")
        digest = hashlib.sha256(f"{code}:{setting.device.type}".encode())
        for path in (TRAIN, TEACHER, CUT, CODE):
            must_exist(setting.root / path)
            digest.update((setting.root / path).read_bytes())
        batches.fill(root, digest.hexdigest()[:16])


def cache_for_students(setting: Setting, teacher: CutTeacher, train: ImageSet) -> FeatureCache | None:
    """The teacher's features of the images and mirrors that students are retrained on.

    Args:
        setting: Of the stage, whose configuration says how students are retrained.
        teacher: Moved to the stage's device, its weights into the memory format of channels last.
        train: The train part.

    Returns:
        None where retraining does not need the teacher, augments beyond flips, or must not or cannot keep so much.
    """
    recipe, signals = setting.config.retrain.recipe, setting.config.retrain.distillation
    if not (signals.logits or signals.features):
        return None
    teacher.to(setting.device)
    teacher.network.to(memory_format=torch.channels_last)
    batches = FeatureBatches(teacher, train, recipe.augment, recipe.batch_size, setting.seed, setting.device)
    fill_from_cache(batches, recipe.augment, teacher, setting)
    return batches.cache
