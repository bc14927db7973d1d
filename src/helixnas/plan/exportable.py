"""Try before any training whether every part that a student may have can leave as a file."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher
from helixnas.errors import ConfigError
from helixnas.runtimes import Graphs, cannot_export, find_culprit, record
from helixnas.search_space import SearchSpace
from helixnas.student import build_operation, custom_name


def require_exportable(teacher: CutTeacher, space: SearchSpace, example: Tensor) -> None:
    """Record the teacher's parts and each custom operation, and convert the custom ones to ONNX.

    Built-in operations are known to leave; tests hold that.

    Args:
        teacher: The cut teacher.
        space: The search space.
        example: A batch of images [N, C, H, W] of at least two.

    Raises:
        ConfigError: A part cannot be exported; the message names it.
    """
    graphs = Graphs()
    for name, part, inputs in [*_teacher_parts(teacher, space, example), *_custom_operations(space, len(example))]:
        try:
            record(part, (inputs,))
        except Exception as error:  # torch.export raises whatever it meets in foreign code
            culprit = find_culprit(part, inputs, record)
            named = f"{name}, in {culprit}" if culprit else name
            raise ConfigError(cannot_export(named, "torch.export", error)) from error
        if name.startswith("operation"):
            graphs(part, inputs)


def _teacher_parts(teacher: CutTeacher, space: SearchSpace, example: Tensor) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Stem, head, and those blocks that a student may keep, each with its input."""
    x = example
    parts = [("the teacher's stem", teacher.stem, True)]
    for block, piece in zip(space.blocks, teacher.blocks, strict=True):
        parts.append((f"the teacher's block {block.block_id}", piece, any(cell.is_of_teacher for cell in block.cells)))
    for name, part, is_used in [*parts, ("the teacher's head", teacher.head, True)]:
        part.eval()
        if is_used:
            yield name, part, x
        with torch.no_grad():
            x = part(x)


def _custom_operations(space: SearchSpace, num_images: int) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Each custom operation once, as the first layer that offers it has it."""
    seen = set()
    for block in space.blocks:
        for cell in block.cells:
            size = cell.in_size or block.spec.in_size
            for layer in cell.layers(block.spec.in_width):
                in_shape = (layer.in_width, *size) if layer.is_map else (*size, layer.in_width)
                size = tuple(-(-side // layer.stride) for side in size)
                for candidate in layer.candidates:
                    name = custom_name(candidate.kind)
                    if name and name not in seen:
                        seen.add(name)
                        operation = build_operation(layer, candidate).eval()
                        yield f"operation {name}", operation, torch.rand(num_images, *in_shape)
