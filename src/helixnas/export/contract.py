"""What every exported file promises: which images go in, and which class each logit stands for."""

from dataclasses import dataclass
from typing import Any

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name for images of so many channels."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a student takes and returns.

    Attributes:
        class_names: Of the logits, in order.
        in_shape: Of one image: channels, height, width.
    """

    class_names: tuple[str, ...]
    in_shape: tuple[int, int, int]

    @property
    def input_text(self) -> str:
        """The input in words."""
        channels, height, width = self.in_shape
        mode = MODES.get(channels, f"{channels} channels")
        return (
            f"float32 [N, {channels}, {height}, {width}], {mode}, pixels from 0 to 1, not normalised; N is any number. "
            f"An image file: its middle square, scaled to {height} x {width} pixels."
        )

    @property
    def output_text(self) -> str:
        """The output in words."""
        return f"float32 [N, {len(self.class_names)}], a logit for each class"

    def facts(self) -> dict[str, Any]:
        """The contract as plain JSON types."""
        return {
            "class_names": list(self.class_names),
            "in_shape": list(self.in_shape),
            "input": self.input_text,
            "output": self.output_text,
        }
