"""distill: one block's supernet learns to imitate the teacher's block."""

from collections.abc import Iterator

import torch

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import ImageSet, derive_seed, epoch_batches, num_batches
from helixnas.distill import Distillation, trainable_cells
from helixnas.fit import Augmenter, Checkpoint, pinned
from helixnas.stages.loading import (
    aimed_batch,
    load_feature_moments,
    load_loss,
    load_part,
    load_space,
    load_teacher,
)
from helixnas.stages.setting import Curve, Setting, begin, clear
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, CutTeacher, block_batch

NUM_FIT_IMAGES = 256
"""At once, where the principal components of the teacher's output are taken."""


def run(config: RunConfig, block_id: int) -> None:
    setting = begin(f"distill@{block_id}", config, config.distill.num_threads)
    space = load_space(setting.root, config)
    block = space.blocks[block_id]
    teacher = load_teacher(setting.root, config, setting.device)
    with pinned(derive_seed(setting.seed, "init")):
        supernet = BlockSupernet(block, teacher.blocks[block_id])
    for network in (teacher.network, supernet):  # on a CPU, depthwise layers train up to 2.5 times faster so
        network.to(setting.device).to(memory_format=torch.channels_last)
    train = load_part(setting.root, "train")
    if supernet.target is not None:
        chunks = train.normalized().split(NUM_FIT_IMAGES)
        supernet.target.fit(block_batch(teacher, block_id, chunk.to(setting.device)).targets for chunk in chunks)
    mean, variance = load_feature_moments(setting.root, block_id)
    supernet.match_outputs(mean, variance.sqrt())
    inputs = [
        setting.root / folder("teacher") / "teacher.safetensors",
        setting.root / folder("data") / "train.safetensors",
    ]
    resume = setting.resume_folder(["data", "teacher", "search_space", "distill"], inputs)
    curve = Curve(resume / "curve.jsonl")
    if trainable_cells(block):
        distillation = Distillation(supernet, block, load_loss(setting.root, supernet), config.distill, setting.seed)
        epochs = _Epochs(setting, teacher, supernet, train)
        distillation.run(epochs, epochs.num_steps, Checkpoint(resume / "checkpoint.pt"), curve, setting.progress)
    artifacts.save_tensors(
        setting.out / "supernet.safetensors", "supernet", supernet.state_dict(), {"space": space.digest}
    )
    curve.save(setting.out / "curve.csv")
    clear(resume)


class _Epochs:
    """Augmented images through the frozen teacher: the block's inputs and targets, the same for the same epoch."""

    def __init__(self, setting: Setting, teacher: CutTeacher, supernet: BlockSupernet, train: ImageSet) -> None:
        self._setting, self._teacher, self._supernet, self._train = setting, teacher, supernet, train
        settings = setting.config.distill
        self._batch_size = settings.batch_size
        self._augmenter = Augmenter(settings.augment, train.in_shape[1], train.mean, train.std)
        self.num_steps = num_batches(len(train), self._batch_size)

    def __call__(self, epoch: int) -> Iterator[BlockBatch]:
        order_seed = derive_seed(self._setting.seed, "order", epoch)
        for offset, rows in enumerate(epoch_batches(len(self._train), self._batch_size, order_seed)):
            images = self._augmenter(
                self._train.images[rows], derive_seed(self._setting.seed, "augment", epoch, offset)
            )
            yield aimed_batch(self._supernet, self._teacher, images.to(self._setting.device))
