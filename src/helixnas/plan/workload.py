"""Estimate the time, memory and disk of each stage from a step or two of the real work."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from helixnas.artifacts import CACHE
from helixnas.config import RunConfig
from helixnas.config.recipes import Augment
from helixnas.cut import CutTeacher
from helixnas.data import num_batches, room_for
from helixnas.distill import SAMPLERS, may_cache, partition, round_length
from helixnas.fit import Augmenter
from helixnas.plan.needs import Likely, Sizes, Workload
from helixnas.plan.probe import num_bytes, seconds, train_step
from helixnas.retrain import max_steps
from helixnas.runtimes import threads
from helixnas.search import num_epochs
from helixnas.search_space import BlockSpace, Path, SearchSpace, keeps_interface
from helixnas.student import BlockSupernet, StudentNetwork, assemble, num_calibration_images
from helixnas.teacher import cut_features, feature_bytes

START_S = 1.5
"""Seconds of a stage in a flow before it works: DVC and files. Alone, importing torch and timm takes 4 s more."""
BASE_BYTES = 450 * 2**20
"""Bytes of memory that a process holds before it works."""
INDEX_BYTES = 60  # of one image's line in the index of a part
EXPORT_S, EXPORT_LAYER_S = 3.0, 0.07
"""Seconds that torch and ONNX take to load and to record a network, and those for each of its layers: on two cores."""
EXPORT_BYTES = 300 * 2**20
"""Bytes of memory that ONNX and its runtime take."""
SIAMESE_FACTOR = 2.7
"""What a path of a siamese supernet takes of a path's step: two views, each through the online and the target twin."""
TRACED_S, OPENED_S = 0.06, 0.01
"""Seconds to export one candidate of one layer for a measurement, and to join and open one path: on two cores."""
NUM_PASSES = 3
"""Passes of a turn of a measurement, about: short ones are repeated more often, long ones less."""
NUM_SAMPLED = 3
FLOAT = 4


def workloads(
    config: RunConfig, sizes: Sizes, teacher: CutTeacher, space: SearchSpace, likely: Likely
) -> list[Workload]:
    """Estimate the workload of each stage, in the order of dvc.yaml.

    Args:
        config: The run.
        sizes: Number and shape of images.
        teacher: The cut teacher.
        space: The search space.
        likely: The student that is assumed.
    """
    estimate = _Estimate(config, sizes, teacher, space, likely)
    blocks = list(zip(space.blocks, estimate.supernets, strict=True))
    return [
        Workload("custom", START_S / 2, BASE_BYTES // 4, 10**3),
        estimate.data(),
        estimate.teacher(),
        Workload("search_space", START_S, BASE_BYTES, 10**5),
        *(estimate.distill(block_id) for block_id in range(len(blocks))),
        *(estimate.rating(block, supernet) for block, supernet in blocks),
        estimate.cost(blocks),
        estimate.search(),
        estimate.retrain(),
        estimate.compare(),
        estimate.export(),
        Workload("report", 2 * START_S, BASE_BYTES, 5 * 10**6),
    ]


class _Estimate:
    """The workload of each stage, from measured steps on a small batch of random images, the probe."""

    def __init__(
        self, config: RunConfig, sizes: Sizes, teacher: CutTeacher, space: SearchSpace, likely: Likely
    ) -> None:
        self._config, self._sizes, self._teacher = config, sizes, teacher
        self.supernets = [BlockSupernet(b, t) for b, t in zip(space.blocks, teacher.blocks, strict=True)]
        self._blocks = space.blocks
        self._paths = [_sampled(block) for block in space.blocks]
        self._likely = likely
        self._is_measured = keeps_interface(space)
        self._probe = torch.rand(min(room_for(sizes.in_shape), config.distill.batch_size), *sizes.in_shape)
        self._features = torch.no_grad()(cut_features)(teacher, self._probe, len(space.blocks))

    def data(self) -> Workload:
        """The workload of the data stage."""
        sizes = self._sizes
        num_images = sizes.num_train + sizes.num_rating + sizes.num_test
        packed = num_images * sizes.bytes_per_image
        disk_bytes = packed if packed <= self._config.data.pack_gb * 1e9 else num_images * INDEX_BYTES
        return Workload("data", START_S + num_images * 2e-4, BASE_BYTES + self._data_bytes(), disk_bytes)

    def teacher(self) -> Workload:
        """The workload of the teacher stage."""
        recipe, network = self._config.teacher.recipe, self._teacher.network
        with threads(self._config.teacher.num_threads):
            step_s, saved = train_step(network, lambda: network(self._probe))
        steps = recipe.epochs * num_batches(self._sizes.num_train, recipe.batch_size)
        return self._training("teacher", network, step_s, saved, steps, recipe.batch_size)

    def distill(self, block_id: int) -> Workload:
        """The workload of a block; the first block of a group trains the whole group, the others find it done."""
        settings, stage, supernet = self._config.distill, f"distill@{block_id}", self.supernets[block_id]
        is_siamese = settings.supervision == "siamese"
        if block_id >= settings.groups:
            return Workload(stage, START_S, BASE_BYTES + self._data_bytes(), num_bytes(supernet))
        group = partition(self._teacher.specs, settings.groups)[block_id]
        with threads(settings.num_threads):
            measured = [self._distill_step(member) for member in group]
            guide_s = seconds(torch.no_grad()(lambda: cut_features(self._teacher, self._probe, len(self._paths))))
        share = (group[-1] + 2) / (len(self._paths) + 2)  # blocks behind the last one are not run
        passes = [settings.updates * round_length(self._blocks[member]) for member in group]
        steps = max(passes)
        views = self._num_cached_views(settings.augment)
        num_guided = num_batches(views, settings.batch_size) if views else steps
        if is_siamese:
            num_guided = 2 * settings.siamese.pairs * max(self._num_steps(member) for member in group)
            guide_s += self._augment_s()
        time_s = num_guided * guide_s * share
        factor = SIAMESE_FACTOR if is_siamese else 1.0
        time_s += factor * sum(num * step_s for num, (step_s, _) in zip(passes, measured, strict=True))
        saved = max(saved for _, saved in measured) * (2 if is_siamese else 1)
        supernets = nn.ModuleList(self.supernets[member] for member in group for _ in range(2 if is_siamese else 1))
        whole = self._training(stage, supernets, time_s / max(1, steps), saved, steps, settings.batch_size)
        return replace(whole, disk_bytes=num_bytes(supernet))

    def _num_steps(self, block_id: int) -> int:
        settings = self._config.distill
        return SAMPLERS[settings.sampler](self._blocks[block_id], settings.updates, 0).num_steps

    def _augment_s(self) -> float:
        """Seconds that one view of each image of the probe takes."""
        channels, size, _ = self._sizes.in_shape
        augmenter = Augmenter(self._config.distill.augment, size, (0.5,) * channels, (0.5,) * channels)
        images = (self._probe * 255).byte()
        return seconds(lambda: augmenter(images, 0))

    def _num_cached_views(self, augment: Augment) -> int:
        """How many images and mirrors pass the teacher to fill the cache of features; 0 where each batch is a pass."""
        num_views = self._sizes.num_train * (2 if augment.hflip else 1)
        needed = feature_bytes(self._teacher.specs, num_views)
        return num_views if may_cache(self._config.teacher, augment, needed, CACHE) else 0

    def _distill_step(self, block_id: int) -> tuple[float, int]:
        """A training step of the probe through a path of a block: its seconds, and the most that autograd keeps."""
        supernet, inputs = self.supernets[block_id], self._features[block_id]
        measured = [train_step(supernet, partial(supernet, inputs, path)) for path in self._paths[block_id]]
        return sum(step_s for step_s, _ in measured) / len(measured), max(saved for _, saved in measured)

    def rating(self, block: BlockSpace, supernet: BlockSupernet) -> Workload:
        """The workload of a block's rating."""
        inputs, settings = self._features[block.block_id], self._config.rating
        depth = sum(len(path.choices) for path in self._paths[block.block_id]) / len(self._paths[block.block_id])
        num_rated = settings.num_images or self._sizes.num_rating
        image = inputs[0].numel() * FLOAT * (max(cell.depth for cell in block.cells) + 2)
        carried = min(num_rated * image, max(settings.memory_mib * 2**20, settings.batch_size * image))
        num_calibration = num_calibration_images(settings.num_calibration_images, self._sizes.num_train, [block.spec])
        held = carried + num_calibration * image
        num_images = num_rated + num_calibration
        operation_s = self._path_s(block, supernet) / depth / len(inputs)
        time_s = START_S + num_nodes(block) * operation_s * num_images
        if settings.criterion == "population":
            time_s, held = START_S + 4 * (time_s - START_S), 2 * held  # two supernets, two views
        if settings.criterion == "output":
            num_run = math.ceil(settings.tail_share * block.num_paths)
            time_s += num_run * self._tail_s(block.block_id) * num_images
        return Workload(f"rating@{block.block_id}", time_s, BASE_BYTES + held, block.num_paths * 32)

    def cost(self, blocks: Sequence[tuple[BlockSpace, BlockSupernet]]) -> Workload:
        """The workload of the cost stage."""
        settings = self._config.cost.latency
        paths_s = sum(self._path_s(*block) * block[0].num_paths for block in blocks)
        num_passes = settings.num_rounds * NUM_PASSES
        time_s = 2 * START_S + num_passes * paths_s * settings.batch_size / len(self._probe)
        if settings.runtime != "torch":
            layers = sum(len(row) for block, _ in blocks for cell in block.cells for row in cell.candidates)
            time_s += TRACED_S * layers + OPENED_S * sum(block.num_paths for block, _ in blocks)
        weights = sum(map(num_bytes, self.supernets))
        return Workload("cost", time_s, BASE_BYTES + weights, sum(block.num_paths for block, _ in blocks) * 64)

    def search(self) -> Workload:
        """The workload of the search stage: what is measured, as if nothing were shared, and what is trained."""
        settings, time_s = self._config.search, 2 * START_S
        if self._is_measured:
            num_images = self._num_calibration() + self._sizes.num_rating
            time_s += (settings.num_trials + settings.measured) * num_images * self._student_s()
        if self._is_measured and settings.trained:
            time_s += self._retrain_s(settings.num_threads, num_epochs(settings.trained, settings.rungs))
        weights = sum(num_bytes(supernet) for supernet in self.supernets)
        return Workload("search", time_s, BASE_BYTES + 2 * weights + self._data_bytes(), 10**5)

    def retrain(self) -> Workload:
        """The workload of the retrain stage."""
        network = self._student()
        return Workload(
            "retrain",
            2 * START_S + self._retrain_s(self._config.retrain.num_threads, self._config.retrain.recipe.epochs),
            BASE_BYTES + 6 * num_bytes(network) + self._data_bytes(),
            2 * num_bytes(network),
        )

    def compare(self) -> Workload:
        """The workload of measuring all rivals and of retraining the best of them one after another."""
        settings, num_obvious = self._config.compare, self._likely.num_obvious
        if not settings.enabled:
            return Workload("compare", START_S, BASE_BYTES, 100)
        num_others = settings.random
        if self._config.retrain.init != "scratch":
            num_others += settings.undistilled + settings.from_scratch
        num_measured = num_obvious + num_others
        num_trained = min(settings.num_retrained, num_obvious) + num_others
        num_images = self._num_calibration() + self._sizes.num_rating
        time_s = 2 * START_S + num_measured * num_images * self._student_s()
        time_s += num_trained * self._retrain_s(settings.num_threads, self._config.retrain.recipe.epochs)
        weights = num_bytes(self._student())
        held = sum(map(num_bytes, self.supernets)) * (2 if settings.random else 1)
        memory = BASE_BYTES + 6 * weights + held + self._data_bytes()
        return Workload("compare", time_s, memory, 2 * num_trained * weights)

    def export(self) -> Workload:
        """The workload of writing a student's files and of running each on the test part."""
        network, settings = self._student(), self._config.export
        num_layers = self._likely.share * sum(not any(module.children()) for module in network.modules())
        num_images = 4 * self._sizes.num_test + 2 * self._sizes.num_rating + 5 * settings.num_queries
        time_s = 2 * START_S + EXPORT_S + EXPORT_LAYER_S * num_layers + num_images * self._student_s()
        memory = BASE_BYTES + EXPORT_BYTES + 6 * num_bytes(network) + self._data_bytes()
        return Workload("export", time_s, memory, 4 * num_bytes(network))

    def _retrain_s(self, num_threads: int, epochs: int) -> float:
        """Seconds of the training of one student, or of several that share one range test."""
        recipe = self._config.retrain.recipe
        steps = epochs * num_batches(self._sizes.num_train, recipe.batch_size)
        if recipe.lr == "auto":
            steps += max_steps(self._sizes.num_train, recipe.batch_size)
        views = self._num_cached_views(recipe.augment)  # of the teacher, once; else each batch is a pass
        with threads(num_threads):
            teacher_s = seconds(self._run_teacher) / len(self._probe)
            return 3 * self._student_s() * steps * recipe.batch_size + teacher_s * (views or steps * recipe.batch_size)

    def _training(
        self, stage: str, network: nn.Module, step_s: float, saved: int, steps: int, batch_size: int
    ) -> Workload:
        """The workload of a training; ``step_s`` and ``saved`` are for the batch of the probe."""
        scale = batch_size / len(self._probe)
        weights = num_bytes(network)  # in memory with gradients and two moments each
        memory = BASE_BYTES + 5 * weights + int(saved * scale) + self._data_bytes()
        return Workload(stage, START_S + steps * step_s * scale, memory, weights)

    def _path_s(self, block: BlockSpace, supernet: BlockSupernet) -> float:
        """Seconds of the forward pass of the probe through a path of a block."""
        inputs, paths = self._features[block.block_id], self._paths[block.block_id]
        with torch.no_grad():
            return sum(seconds(partial(supernet, inputs, path)) for path in paths) / len(paths)

    def _tail_s(self, block_id: int) -> float:
        """Seconds of the forward pass of one image through what stands behind a block of the teacher."""
        tail = nn.Sequential(*self._teacher.blocks[block_id + 1 :], self._teacher.head)
        with torch.no_grad():
            y = self._teacher.blocks[block_id](self._features[block_id])
            return seconds(lambda: tail(y)) / len(y)

    def _student_s(self) -> float:
        """Seconds of the forward pass of one image through a student."""
        network = self._student().eval()
        with torch.no_grad():
            return self._likely.share * seconds(lambda: network(self._probe)) / len(self._probe)

    def _student(self) -> StudentNetwork:
        return assemble(self._teacher.stem, self.supernets, self._teacher.head, self._likely.largest)

    @torch.no_grad()
    def _run_teacher(self) -> Tensor:
        logits: Tensor = self._teacher.network(self._probe)
        return logits

    def _num_calibration(self) -> int:
        """The number of images on which a whole student's BatchNorm statistics are measured."""
        asked = self._config.rating.num_calibration_images
        return num_calibration_images(asked, self._sizes.num_train, self._teacher.specs)

    def _data_bytes(self) -> int:
        """What a process holds of the images: a batch of bytes, and one of floats."""
        return room_for(self._sizes.in_shape) * self._sizes.bytes_per_image * (1 + FLOAT)


def num_nodes(block: BlockSpace) -> int:
    """Return the number of operations that rating runs: the nodes of the trees that a block's cells make."""
    return sum(math.prod(map(len, cell.candidates[: layer + 1])) for cell in block.cells for layer in range(cell.depth))


def _sampled(block: BlockSpace) -> list[Path]:
    """A few paths, evenly over the block's list."""
    rows = torch.linspace(0, block.num_paths - 1, min(NUM_SAMPLED, block.num_paths)).long()
    return [block.path_at(int(row)) for row in rows]
