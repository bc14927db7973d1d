"""Augmenting: timm's recipe on bytes, the same batch for the same seed, and nobody else's randomness spent."""

import random

import numpy as np
import pytest
import torch
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from helixnas.config.recipes import Augment
from helixnas.data import normalize
from helixnas.errors import ConfigError
from helixnas.fit import Augmenter, pinned

MEAN, STD = (0.25, 0.5, 0.75), (0.5, 0.25, 0.2)
OFF = {"min_scale": 1, "hflip": 0.0, "rand_augment": None, "random_erasing": 0.0}


def augmenter(num_channels: int = 3, **changes: object) -> Augmenter:
    return Augmenter(Augment(**(OFF | changes)), 8, MEAN[:num_channels], STD[:num_channels])


def images(num_channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, num_channels, 8, 8), dtype=torch.uint8, generator=generator)


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.mark.parametrize("num_channels", [1, 3])
def test_a_recipe_that_changes_nothing_only_normalises(num_channels: int) -> None:
    batch = augmenter(num_channels)(images(num_channels), 0)
    wanted = normalize(images(num_channels), MEAN[:num_channels], STD[:num_channels])
    assert batch.dtype == torch.float32
    assert torch.allclose(batch, wanted, atol=1e-6)


def test_a_flip_of_chance_1_mirrors_every_image() -> None:
    assert torch.allclose(augmenter(hflip=1.0)(images(), 0), normalize(images(), MEAN, STD).flip(-1), atol=1e-6)


def test_erasing_of_chance_1_sets_a_patch_of_every_image_to_the_mean() -> None:
    batch, plain = augmenter(random_erasing=1.0)(images(), 0), normalize(images(), MEAN, STD)
    erased = (batch - plain).abs() > 1e-6
    assert bool(erased.flatten(1).any(dim=1).all())
    assert not bool(erased.flatten(1).all(dim=1).any())
    assert torch.equal(batch[erased], torch.zeros(int(erased.sum())))


def test_crops_are_no_smaller_than_the_scale_asks() -> None:
    ramp = torch.arange(0, 256, 32, dtype=torch.uint8).expand(200, 3, 8, 8).contiguous()
    spans = {}
    for scale in (0.1, 0.8):
        batch = augmenter(min_scale=scale)(ramp, 0) * STD[0]
        spans[scale] = (batch[:, 0].amax(dim=(1, 2)) - batch[:, 0].amin(dim=(1, 2))) * 255 / 32 + 1  # columns in sight
    assert float(spans[0.8].min()) >= 8 * (0.8 * 3 / 4) ** 0.5 - 1.5  # the narrowest crop of 80 %, to the pixel
    assert float(spans[0.1].min()) < 4 < float(spans[0.1].max())


@pytest.mark.parametrize("changes", [{"min_scale": 0.5}, {"hflip": 0.5}, {"random_erasing": 0.5}])
def test_the_same_seed_gives_the_same_batch_whatever_was_drawn_before(changes: dict[str, float]) -> None:
    augment = augmenter(**changes)
    first = augment(images(), 1)
    draws()
    assert torch.equal(augment(images(), 1), first)
    assert torch.equal(augmenter(**changes)(images(), 1), first)
    assert any(not torch.equal(augment(images(), seed), first) for seed in range(2, 6))


def test_images_of_a_batch_are_augmented_each_for_itself() -> None:
    same = images()[:1].expand(6, 3, 8, 8)
    assert len({image.numpy().tobytes() for image in augmenter(min_scale=0.3)(same, 0)}) == 6


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("policy", ["rand-m9-mstd0.5", "augmix-m3-w3", "original", "3a"])
def test_timms_policies_work_on_grey_and_on_colour(policy: str, num_channels: int) -> None:
    augment = augmenter(num_channels, rand_augment=policy)
    batches = [augment(images(num_channels), seed) for seed in range(4)]
    assert all(batch.shape == (6, num_channels, 8, 8) for batch in batches)
    assert not torch.allclose(batches[0], normalize(images(num_channels), MEAN[:num_channels], STD[:num_channels]))


@pytest.mark.parametrize("policy", ["augmix-n3", "rand-m1.5"])
def test_a_policy_that_timm_does_not_know_is_named(policy: str) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.rand_augment must be .*, but is '{policy}'"):
        augmenter(rand_augment=policy)


def test_augmenting_leaves_every_global_generator_as_it_was() -> None:
    augment = augmenter(min_scale=0.5, hflip=0.5, rand_augment="rand-m9-mstd0.5", random_erasing=0.5)
    with pinned(3):
        wanted = draws()
    with pinned(3):
        augment(images(), 0)
        assert draws() == wanted


def test_pinned_seeds_all_three_generators_and_puts_them_back() -> None:
    with pinned(3):
        wanted = draws()
    with pinned(3):
        with pinned(9):
            first = draws()
        assert draws() == wanted
        with pinned(9):
            assert draws() == first
    assert all(a != b for a, b in zip(first, wanted, strict=True))


def test_a_body_that_fails_still_puts_the_generators_back() -> None:
    with pinned(3):
        wanted = draws()
    with pinned(3):
        with pytest.raises(KeyboardInterrupt), pinned(9):
            raise KeyboardInterrupt
        assert draws() == wanted


@pytest.mark.parametrize("hflip", [0.0, 0.3, 1.0])
def test_flips_alone_give_the_bits_of_timms_transform(hflip: float) -> None:
    augment = augmenter(hflip=hflip)
    transform = create_transform(
        8,
        is_training=True,
        scale=(1.0, 1.0),
        hflip=hflip,
        color_jitter=None,
        interpolation="bilinear",
        mean=MEAN,
        std=STD,
    )
    batch = images()
    with pinned(7):
        wanted = torch.stack([transform(to_pil_image(image)) for image in batch])
    assert torch.equal(augment(batch, 7), wanted)
    assert augment.flips(len(batch), 7).double().mean().item() == pytest.approx(hflip, abs=0.3)
