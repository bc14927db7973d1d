"""Features on disk: what the teacher gives, to the bit, made once, made again when anything is wrong with them."""

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.errors import EnvironmentFault
from helixnas.teacher import FeatureCache, cut_features, feature_bytes

CPU = torch.device("cpu")
ROWS = torch.tensor([5, 0, 31, 5])


class Source:
    """Two batches of features; counts how often it was asked."""

    def __init__(self, teacher: CutTeacher, images: Tensor) -> None:
        self.num_calls = 0
        self.chunks = [cut_features(teacher, chunk, 3) for chunk in images.split(16)]

    def __call__(self) -> Iterator[Sequence[Tensor]]:
        self.num_calls += 1
        yield from self.chunks

    @property
    def whole(self) -> list[Tensor]:
        return [torch.cat(chunks) for chunks in zip(*self.chunks, strict=True)]


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last])
def source(request: pytest.FixtureRequest, teacher: CutTeacher, parts: dict[str, ImageSet]) -> Source:
    teacher.network.to(memory_format=request.param)
    return Source(teacher, parts["train"].first(32).normalized())


def test_rows_come_back_as_the_teacher_gave_them(source: Source, tmp_path: Path) -> None:
    cache, whole = FeatureCache.open(tmp_path, "key", 32, source), source.whole
    for batch, block_id in zip(cache.batches([2, 0], ROWS, CPU), (2, 0), strict=True):
        for got, wanted in ((batch.inputs, whole[block_id][ROWS]), (batch.targets, whole[block_id + 1][ROWS])):
            assert torch.equal(got, wanted)
            assert got.stride() == wanted.stride()


def test_the_size_is_told_before(source: Source, teacher: CutTeacher, tmp_path: Path) -> None:
    FeatureCache.open(tmp_path, "key", 32, source)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "key").glob("*.npy"))
    assert 0 <= on_disk - feature_bytes(teacher.specs, 32) <= 4 * 128  # NumPy's headers


def test_a_cache_is_made_once_and_others_make_way(source: Source, tmp_path: Path) -> None:
    for key, num_calls in (("a", 1), ("a", 1), ("b", 2), ("a", 3)):
        FeatureCache.open(tmp_path, key, 32, source)
        assert source.num_calls == num_calls
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [key]


@pytest.mark.parametrize("name", ["cut_0.npy", "cut_3.npy", "index.json"])
@pytest.mark.parametrize("damage", ["changed", "cut short", "gone"])
def test_a_damaged_cache_is_made_again(source: Source, tmp_path: Path, name: str, damage: str) -> None:
    FeatureCache.open(tmp_path, "key", 32, source)
    path = tmp_path / "key" / name
    content = path.read_bytes()
    path.write_bytes(content[:-9] if damage == "cut short" else content[:-9] + b"x" + content[-8:])
    if damage == "gone":
        path.unlink()
    FeatureCache.open(tmp_path, "key", 32, source)
    assert source.num_calls == 2
    assert path.read_bytes() == content


def test_a_pass_that_is_killed_leaves_nothing_that_counts(source: Source, tmp_path: Path) -> None:
    def killed() -> Iterator[Sequence[Tensor]]:
        yield source.chunks[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureCache.open(tmp_path, "key", 32, killed)
    FeatureCache.open(tmp_path, "key", 32, source)
    assert source.num_calls == 1


def test_a_full_disk_is_told_with_the_remedy(source: Source, tmp_path: Path) -> None:
    def full() -> Iterator[Sequence[Tensor]]:
        yield source.chunks[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(EnvironmentFault, match=r"key must have room .*No space left.* teacher.features: stream"):
        FeatureCache.open(tmp_path, "key", 32, full)
    assert not (tmp_path / "key").exists()


def _open(root: Path, written: Path) -> None:
    def passes() -> Iterator[Sequence[Tensor]]:
        with written.open("a") as file:
            file.write("x")
        yield [torch.zeros(4, 2)] * 2

    FeatureCache.open(root, "key", 4, passes)


def test_of_two_processes_one_writes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(tmp_path / "root", tmp_path / "written")) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "written").read_text() == "x"
