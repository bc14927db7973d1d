"""What the figures of distillation train: a teacher's blocks, their supernets, and the naive schedule of DNA."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from figure import Figure, in_turns
from timm import create_model
from torch import Tensor

from helixnas.config import RunConfig, load
from helixnas.cut import CutTeacher, cut
from helixnas.data import ImageSet, Packed
from helixnas.distill import Distillation, FeatureBatches, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.fit import Checkpoint, pinned
from helixnas.memory import keep_freed_memory
from helixnas.progress import forget, silent
from helixnas.search_space import SearchSpace, build
from helixnas.student import BlockSupernet
from helixnas.teacher import DistillLoss, block_batch, create

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
State = dict[str, Tensor]


class Nowhere(Checkpoint):
    """No checkpoint: the epochs here are a step or two, and saving after each would be most of what is measured."""

    def __init__(self) -> None:
        super().__init__(Path())

    def save(self, state: dict[str, Any]) -> None:
        pass

    def load(self) -> None:
        return None


class Bench:
    """A teacher cut into blocks, images, and a supernet for each block, untrained each time.

    Every supernet is trained for ``epochs`` passes over the images, one random path a step, as DNA does.
    """

    def __init__(self, teacher: CutTeacher, train: ImageSet, config: RunConfig, epochs: int) -> None:
        self.teacher, self.train, self.config, self._epochs = teacher, train, config, epochs
        self.space: SearchSpace = build(teacher.specs, config.search_space)
        self.block_ids = range(len(self.space.blocks))
        teacher.network.requires_grad_(False).to(memory_format=torch.channels_last)
        self._first = [block_batch(teacher, block_id, train.normalized()[:16]).targets for block_id in self.block_ids]

    def batches(self) -> FeatureBatches:
        settings = self.config.distill
        return FeatureBatches(self.teacher, self.train, settings.augment, settings.batch_size, 0, CPU)

    def member(self, block_id: int, num_steps: int) -> Member:
        block = self.space.blocks[block_id]
        with pinned(block_id):
            supernet = BlockSupernet(block, self.teacher.blocks[block_id]).to(memory_format=torch.channels_last)
        if supernet.target is not None:
            supernet.target.fit([self._first[block_id]])
        lesson = Imitation(supernet, DistillLoss(torch.ones(1)))
        training = Distillation(supernet, block, lesson, self.config.distill, block_id, num_steps)
        training._sampler.num_steps = self._epochs * num_steps
        return Member(training, Nowhere(), forget)

    def make(self, num_rounds: int) -> None:
        """Make the supernets for rounds of two ways: a real run makes them once, for thousands of steps."""
        num_steps = self.batches().num_steps
        self._made = [[self.member(block_id, num_steps) for block_id in self.block_ids] for _ in range(2 * num_rounds)]

    def in_turn(self, batches: FeatureBatches) -> list[State]:
        """Block after block, each to its end: DNA's schedule, where batches come from the teacher at every step."""
        members = self._made.pop()
        for member in members:
            train_group(member, [], batches, silent)
        return states(members)

    def naive(self) -> list[State]:
        return self.in_turn(self.batches())

    def together(self) -> list[State]:
        """All blocks at once, each batch through the teacher once."""
        batches = self.batches()
        own, *others = self._made.pop()
        train_group(own, others, batches, silent)
        return states([own, *others])

    def cached(self) -> list[State]:
        """Block after block, from features that are first written to disk."""
        with tempfile.TemporaryDirectory() as folder:
            batches = self.batches()
            batches.fill(Path(folder), "bench")
            return self.in_turn(batches)


def states(members: Sequence[Member]) -> list[State]:
    return [member.training.supernet.state_dict() for member in members]


def same(first: Sequence[State], second: Sequence[State]) -> bool:
    """Whether supernets are equal to the bit."""
    return all(torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a)


def against_dna(bench: Bench, ours: Callable[[], list[State]], name: str, goal: float, num_rounds: int) -> Figure:
    """How many times as fast as DNA's schedule ``ours`` is; both must end with the same supernets, to the bit."""
    bench.make(num_rounds)
    rounds = in_turns([bench.naive, ours], num_rounds)
    assert all(same(first, second) for (_, first), (_, second) in rounds)
    return Figure(
        name,
        "blocks in turn, the teacher run from the image at every step",
        tuple(naive_s / ours_s for (naive_s, _), (ours_s, _) in rounds),
        goal,
        note="EfficientNet-B7 and DNA's space at 224 pixels, batches of 8, one thread; equal supernets to the bit",
    )


def random_images(num_images: int, size: int, channels: int = 3) -> ImageSet:
    images = torch.randint(0, 256, (num_images, channels, size, size), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(num_images, dtype=torch.int64)
    return ImageSet(Packed(images.to(torch.uint8)), labels, ("a",), (0.5,) * channels, (0.25,) * channels)


def dna(num_images: int, batch_size: int, epochs: int) -> Bench:
    """DNA's own proportion: EfficientNet-B7 teaches the cells of DNA's space, at DNA's 224 pixels."""
    keep_freed_memory()  # as every stage does; it speeds up both ways
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train = random_images(num_images, 224)
    network = create_model("tf_efficientnet_b7", num_classes=10).eval()
    teacher = cut(network, [[f"blocks.{index}"] for index in range(1, 7)], train.normalized()[:2])
    return Bench(teacher, train, _config(["search_space.name=mbconv"], batch_size), epochs)


def resnet(num_images: int, batch_size: int, epochs: int) -> Bench:
    """The teacher, the space and the images' size of params.yaml."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = _config([], batch_size)
    train = random_images(num_images, config.data.image_size, 1)
    network = create(config.teacher, train.in_shape, 10).eval()
    assert isinstance(config.teacher.blocks, list)
    return Bench(cut(network, config.teacher.blocks, train.normalized()[:2]), train, config, epochs)


def _config(overrides: list[str], batch_size: int) -> RunConfig:
    plain = ["distill.augment.min_scale=1", "distill.augment.hflip=0", "distill.sampler=uniform"]
    sizes = [f"distill.batch_size={batch_size}", "distill.lr=0.001"]
    return load(ROOT, [*overrides, *plain, *sizes])
