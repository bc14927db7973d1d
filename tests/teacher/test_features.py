"""What the teacher sees at the cuts: inputs and targets of a block, moments of each channel."""

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher, cut
from helixnas.data import ImageSet
from helixnas.teacher import FeatureStatistics, block_batch, feature_statistics


@pytest.fixture
def images(parts: dict[str, ImageSet]) -> Tensor:
    return parts["train"].normalized()[:60]


def outputs(teacher: CutTeacher, images: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return [block_batch(teacher, block_id, images).targets.double() for block_id in range(len(teacher.blocks))]


def assert_close(got: FeatureStatistics, values: Tensor) -> None:
    """Values [C, n] of all images at once."""
    torch.testing.assert_close(got.mean, values.mean(dim=1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(got.variance, values.var(dim=1, unbiased=False), rtol=1e-9, atol=1e-9)
    assert torch.equal(got.minimum, values.amin(dim=1))


def test_the_moments_are_those_of_all_images_and_positions(teacher: CutTeacher, images: Tensor) -> None:
    statistics = feature_statistics(teacher, images.split(60))
    for got, output in zip(statistics, outputs(teacher, images), strict=True):
        assert_close(got, output.movedim(1, 0).flatten(1))
        assert got.mean.dtype == got.variance.dtype == got.minimum.dtype == torch.float64


def test_the_cut_into_batches_does_not_matter(teacher: CutTeacher, images: Tensor) -> None:
    with torch.no_grad():
        teacher.network.layer3[2] = nn.Identity()  # no ReLU: the least value is one image's
    for sizes in (7, 59, 1):
        for got, output in zip(feature_statistics(teacher, images.split(sizes)), outputs(teacher, images), strict=True):
            torch.testing.assert_close(got.mean, output.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(got.variance, output.var(dim=(0, 2, 3), unbiased=False), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(got.minimum, output.amin(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)


def test_tokens_are_counted_by_their_last_axis() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x[:, 0].relu()).mean(dim=1)

    torch.manual_seed(0)
    images = torch.randn(6, 1, 4, 8)
    teacher = cut(Tokens(), [["block"]], images)
    (got,) = feature_statistics(teacher, [images])
    assert_close(got, outputs(teacher, images)[0].flatten(0, 1).T)


def test_constant_channels_have_no_variance_and_none_is_negative(teacher: CutTeacher, images: Tensor) -> None:
    norm = teacher.network.layer1[1]
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.copy_(3.7 / torch.arange(3.0, 11.0))  # the squares of some, summed over 57 images, are rounded down
        norm.bias[4] = -5.0  # dead behind the ReLU
    got = feature_statistics(teacher, images[:57].split(7))[0]
    assert 0.0 <= float(got.variance.min()) <= float(got.variance.max()) < 1e-6
    assert float(got.variance[4]) == float(got.mean[4]) == 0.0
    assert torch.equal(got.minimum, norm.bias.relu().double())


def test_a_block_takes_what_the_block_before_gives(teacher: CutTeacher, images: Tensor) -> None:
    batches = [block_batch(teacher, block_id, images) for block_id in range(3)]
    assert torch.equal(batches[0].inputs, teacher.stem(images))
    assert torch.equal(batches[1].inputs, batches[0].targets)
    assert torch.equal(batches[2].inputs, batches[1].targets)
    assert torch.equal(teacher.head(batches[2].targets), teacher.network(images))
    assert not any(batch.targets.requires_grad for batch in batches)


def test_blocks_behind_are_not_run(teacher: CutTeacher, images: Tensor) -> None:
    ran: list[int] = []
    for block_id, block in enumerate(teacher.blocks):
        block.register_forward_hook(lambda *_, block_id=block_id: ran.append(block_id))
    block_batch(teacher, 1, images)
    assert ran == [0, 1]
