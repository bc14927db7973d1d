"""How a feature lies: by its shape, or by the steps that led to it where the shape does not tell."""

import pytest

from helixnas.cut.layout import layout_of, num_positions

SQUARE, WIDE = (2, 3, 64, 64), (2, 3, 32, 96)


@pytest.mark.parametrize(
    ("shape", "image", "axis", "layout"),
    [
        ((2, 8, 16, 16), SQUARE, None, "NCHW"),
        ((2, 16, 16, 8), SQUARE, None, "NHWC"),
        ((2, 8, 16, 16), SQUARE, 3, "NCHW"),  # the shape knows better than a guess at the steps
        ((2, 16, 16, 16), SQUARE, None, "NCHW"),
        ((2, 16, 16, 16), SQUARE, 1, "NCHW"),
        ((2, 16, 16, 16), SQUARE, 3, "NHWC"),
        ((2, 4, 196, 384), SQUARE, None, None),  # windows of tokens
        ((2, 4, 196, 384), SQUARE, 3, None),
        ((2, 8, 4, 16), SQUARE, 1, "NCHW"),  # shrunk along one side
        ((2, 8, 4, 12), WIDE, None, "NCHW"),
        ((2, 4, 12, 8), WIDE, None, "NHWC"),
        ((2, 24, 3, 8), WIDE, None, "NCHW"),  # 2.7 wide, rounded up
        ((2, 197, 192), SQUARE, None, "NLC"),
        ((2, 197, 192), SQUARE, 2, "NLC"),
        ((2, 192, 196), SQUARE, 1, None),
        ((2, 192), SQUARE, None, None),
        ((2, 4, 3, 8, 8), SQUARE, None, None),
    ],
)
def test_a_map_has_the_images_sides(
    shape: tuple[int, ...], image: tuple[int, ...], axis: int | None, layout: str | None
) -> None:
    assert layout_of(shape, image, axis) == layout


def test_positions_are_a_maps_pixels_or_the_tokens() -> None:
    assert num_positions((8, 4, 6), "NCHW") == num_positions((4, 6, 8), "NHWC") == 24
    assert num_positions((197, 192), "NLC") == 197
