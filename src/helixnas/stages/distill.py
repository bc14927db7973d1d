"""distill: one block's supernet learns to imitate the teacher's block, and others of its group beside it.

What is trained for another block waits in that block's checkpoint, where its own stage finds it done. So DVC keeps one
stage a block, which depends on no other block and writes its own outputs alone.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive
from helixnas.config import RunConfig
from helixnas.data import derive_seed
from helixnas.distill import Distillation, FeatureBatches, Member, partition, train_group, trainable_cells
from helixnas.fit import pinned
from helixnas.stages.feature_cache import TEACHER, TRAIN, fill_from_cache
from helixnas.stages.loading import load_feature_moments, load_loss, load_part, load_space, load_teacher
from helixnas.stages.setting import Curve, Resumable, Setting, begin, clear
from helixnas.student import BlockSupernet
from helixnas.teacher import block_batch


def run(config: RunConfig, block_id: int) -> None:
    """Run the stage: train one block's supernet, and save it with its curve."""
    setting = begin(f"distill@{block_id}", config, config.distill.num_threads)
    with ExitStack() as locks:
        locks.enter_context(exclusive(_lock(setting)))  # a process of its group may be training this block
        work = _Work(setting)
        curve = Curve()
        required = work.member(block_id, curve)
        if work.is_trainable(block_id):
            batches = work.batches()  # from a cache there is no teacher's pass to share
            others = () if batches.cache is not None else work.others(block_id, locks)
            train_group(required, [work.member(other, Curve()) for other in others], batches, setting.progress)
        _save(setting, required, curve, work.space.digest)


def _save(setting: Setting, required: Member, curve: Curve, space: str) -> None:
    resume = _resume(setting)
    artifacts.save_tensors(_supernet(setting), "supernet", required.training.supernet.state_dict(), {"space": space})
    curve.save(setting.out / "curve.csv")
    artifacts.save_text(_done(setting), resume.name)
    clear(resume)


def _supernet(setting: Setting) -> Path:
    return setting.out / "supernet.safetensors"


def _done(setting: Setting) -> Path:
    """The file that names the work of which the supernet came: not in the supernet's own, whose bytes DVC compares."""
    return setting.root / CACHE / "resume" / f"{setting.name}.done"


def _is_done(setting: Setting) -> bool:
    """Whether the supernet that lies there came of exactly this work."""
    done = _done(setting)
    return _supernet(setting).is_file() and done.is_file() and done.read_text("utf-8") == _resume(setting).name


def _lock(setting: Setting) -> Path:
    return setting.root / CACHE / "resume" / f"{setting.name}.lock"


def _resume(setting: Setting) -> Path:
    inputs = [setting.root / TEACHER, setting.root / TRAIN]
    return setting.resume_folder(["data", "teacher", "search_space", "distill"], inputs)


class _Work:
    """What the blocks of a group share, and each block's own training."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._config = setting, setting.config.distill
        self.space = load_space(setting.root, setting.config)
        self._teacher = load_teacher(setting.root, setting.config, setting.device)
        # on a CPU, depthwise layers train up to 2.5 times faster so
        self._teacher.network.to(memory_format=torch.channels_last)
        self._train = load_part(setting.root, "train", setting.num_loaders)
        seed = derive_seed(setting.config.seed, "distill")  # not the block's: its group sees the same batches
        settings = self._config.augment, self._config.batch_size
        self._batches = FeatureBatches(self._teacher, self._train, *settings, seed, setting.device, setting.num_loaders)

    def is_trainable(self, block_id: int) -> bool:
        return bool(trainable_cells(self.space.blocks[block_id]))

    def others(self, block_id: int, locks: ExitStack) -> Iterator[int]:
        """The blocks of the group that want training and that no other process trains; their locks go to ``locks``."""
        groups = partition(self._teacher.specs, self._config.groups)
        for other in next(group for group in groups if block_id in group):
            setting = self._setting_of(other)
            is_wanted = other != block_id and self.is_trainable(other) and not _is_done(setting)
            if is_wanted and locks.enter_context(exclusive(_lock(setting), wait=False)):
                yield other

    def member(self, block_id: int, curve: Curve) -> Member:
        """A block's training before its first step, logged in ``curve``."""
        setting, block = self._setting_of(block_id), self.space.blocks[block_id]
        with pinned(derive_seed(setting.seed, "init")):
            supernet = BlockSupernet(block, self._teacher.blocks[block_id])
        supernet.to(setting.device).to(memory_format=torch.channels_last)
        if supernet.target is not None:
            batches = (images.to(setting.device) for images in self._train.normalized_batches())
            supernet.target.fit(block_batch(self._teacher, block_id, images).targets for images in batches)
        mean, variance = load_feature_moments(setting.root, block_id)
        supernet.match_outputs(mean, variance.sqrt())
        loss, num_steps, resume = load_loss(setting.root, supernet), self._batches.num_steps, _resume(setting)
        training = Distillation(supernet, block, loss, self._config, setting.seed, num_steps)
        return Member(training, Resumable(resume / "checkpoint.pt", curve), curve)

    def batches(self) -> FeatureBatches:
        """What the blocks train on: from the cache of features, where there may be one."""
        fill_from_cache(self._batches, self._config.augment, self._teacher, self._setting)
        return self._batches

    def _setting_of(self, block_id: int) -> Setting:
        name = f"distill@{block_id}"
        return replace(self._setting, name=name, seed=derive_seed(self._setting.config.seed, name))
