"""distill: one block's supernet learns from ``distill.supervision``, and others of its group beside it.

What is trained for another block waits in that block's checkpoint, where its own stage finds it done. So DVC keeps one
stage a block, which depends on no other block and writes its own outputs alone.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive
from helixnas.config import RunConfig
from helixnas.data import derive_seed
from helixnas.distill import (
    Distillation,
    Member,
    Sources,
    open_supervision,
    partition,
    reads_teacher,
    require_learnable,
    train_group,
    trainable_cells,
)
from helixnas.fit import pinned
from helixnas.handover.feature_cache import CUT, TEACHER, TRAIN, fill_from_cache
from helixnas.handover.parts import load_part, load_raw_part
from helixnas.handover.setting import Curve, Resumable, Setting, begin, clear
from helixnas.handover.space import block_file, load_block
from helixnas.handover.student import BESIDE
from helixnas.handover.teacher import load_feature_moments, load_teacher, load_untaught
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet


def run(config: RunConfig, block_id: int) -> None:
    """Run the stage: train one block's supernet, and save it with its curve."""
    setting = begin(f"distill@{block_id}", config, config.distill.num_threads)
    with ExitStack() as locks:
        locks.enter_context(exclusive(_lock(setting)))  # a process of its group may be training this block
        work = _Work(setting)
        curve = Curve()
        required = work.member(block_id, curve)
        if work.is_trainable(block_id):
            others = () if work.is_cached() else work.others(block_id, locks)  # then there is no pass to share
            members = [work.member(other, Curve()) for other in others]
            train_group(required, members, work.supervision.batches, setting.progress)
        _save(setting, required, curve, work.block(block_id).digest)


def _save(setting: Setting, required: Member, curve: Curve, space: str) -> None:
    resume = _resume(setting)
    artifacts.save_tensors(_supernet(setting), "supernet", required.training.supernet.state_dict(), {"space": space})
    if required.training.beside:
        artifacts.save_tensors(setting.out / BESIDE, "beside", required.training.beside, {"space": space})
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
    block_id = int(setting.name.partition("@")[2])
    teacher = TEACHER if reads_teacher(setting.config.distill.supervision) else CUT
    inputs = [setting.root / teacher, setting.root / TRAIN, block_file(setting.root, block_id)]
    return setting.resume_folder(["data", "teacher", "distill"], inputs)


class _Work:
    """What the blocks of a group share, and each block's own training."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._settings = setting, setting.config.distill
        has_teacher = reads_teacher(self._settings.supervision)
        self._teacher = (load_teacher if has_teacher else load_untaught)(setting.root, setting.config, setting.device)
        # on a CPU, depthwise layers train up to 2.5 times faster so
        self._teacher.network.to(memory_format=torch.channels_last)
        sources = Sources(
            teacher=self._teacher,
            moments=partial(load_feature_moments, setting.root),
            train=(load_part if has_teacher else load_raw_part)(setting.root, "train", setting.num_loaders),
            settings=self._settings,
            seed=derive_seed(setting.config.seed, "distill"),  # not the block's: its group sees the same batches
            device=setting.device,
            num_loaders=setting.num_loaders,
        )
        self.supervision = open_supervision(self._settings.supervision, sources)

    def block(self, block_id: int) -> BlockSpace:
        """The choices of a block."""
        return load_block(self._setting.root, self._setting.config, block_id)

    def is_trainable(self, block_id: int) -> bool:
        return bool(trainable_cells(self.block(block_id)))

    def others(self, block_id: int, locks: ExitStack) -> Iterator[int]:
        """The blocks of the group that want training and that no other process trains; their locks go to ``locks``."""
        groups = partition(self._teacher.specs, self._settings.groups)
        for other in next(group for group in groups if block_id in group):
            setting = self._setting_of(other)
            is_known = block_file(setting.root, other).is_file()  # DVC may have asked for some blocks alone
            is_wanted = other != block_id and is_known and self.is_trainable(other) and not _is_done(setting)
            if is_wanted and locks.enter_context(exclusive(_lock(setting), wait=False)):
                yield other

    def member(self, block_id: int, curve: Curve) -> Member:
        """A block's training before its first step, logged in ``curve``."""
        setting, block = self._setting_of(block_id), self.block(block_id)
        require_learnable(self._settings.supervision, block)
        with pinned(derive_seed(setting.seed, "init")):
            supernet = BlockSupernet(block, self._teacher.blocks[block_id])
        supernet.to(setting.device).to(memory_format=torch.channels_last)
        with pinned(derive_seed(setting.seed, "lesson")):
            lesson = self.supervision.lesson(supernet)
        lesson.beside.to(setting.device)
        num_steps = self.supervision.num_steps
        training = Distillation(supernet, block, lesson, self._settings, setting.seed, num_steps)
        return Member(training, Resumable(_resume(setting) / "checkpoint.pt", curve), curve)

    def is_cached(self) -> bool:
        """Whether batches come from a cache of the teacher's features, which is filled where there may be one."""
        features = self.supervision.features
        if features is None:
            return False
        fill_from_cache(features, self._settings.augment, self._teacher, self._setting)
        return features.cache is not None

    def _setting_of(self, block_id: int) -> Setting:
        name = f"distill@{block_id}"
        return replace(self._setting, name=name, seed=derive_seed(self._setting.config.seed, name))
