"""Tell whether a feature is a map with channels first, a map with channels last, or tokens.

A map's shape tells: the ratio of its two sides is the image's, so the remaining number is that of the channels.
Where both readings fit (8x8x8), or none (an image that is shrunk along one side), the steps that led to the feature
are followed back to the nearest that knows: a layer for images (its name ends in ``2d``) has channels first, a linear
layer or a LayerNorm has them last, a permutation moves them. If nothing knows, channels come first, torch's custom.
"""

from collections.abc import Mapping, Sequence

from torch import fx, nn

from helixnas.blocks import Layout
from helixnas.cut.measure import Step

MAP, TOKENS = 4, 3
CHANNELS_FIRST = ("2d", "batch_norm", "batchnorm", "group_norm", "groupnorm")
CHANNELS_LAST = ("linear", "layer_norm", "layernorm", "rms_norm", "rmsnorm")
UNKNOWN = ("view", "reshape", "squeeze", "movedim", "rearrange")
"""Steps that may do anything with the axes."""


def layout_of(shape: Sequence[int], image_shape: Sequence[int], channel_axis: int | None) -> Layout | None:
    """Return the layout of a feature; None if it is neither a map nor tokens.

    Args:
        shape: Of the feature, with the batch.
        image_shape: Of the images, with the batch.
        channel_axis: Of the feature, as the network's steps tell; None if unknown.
    """
    if len(shape) == TOKENS:
        return None if channel_axis == 1 else "NLC"
    if len(shape) != MAP:
        return None
    fitting: list[Layout] = [layout for layout in ("NCHW", "NHWC") if _fits(shape, layout, image_shape)]
    if len(fitting) == 1:
        return fitting[0]
    if channel_axis == MAP - 1:
        return "NHWC" if fitting else None
    return "NCHW" if fitting or channel_axis == 1 else None


def _fits(shape: Sequence[int], layout: Layout, image_shape: Sequence[int]) -> bool:
    """Whether a map's sides are to each other as the image's, up to one pixel where they are not equal."""
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    image_height, image_width = image_shape[-2:]
    if image_height == image_width:
        return height == width
    return abs(height / image_height - width / image_width) <= 1 / min(image_height, image_width)


def num_positions(shape: Sequence[int], layout: Layout) -> int:
    """Return the number of positions of a map, or the number of tokens; ``shape`` leaves out the batch."""
    sides = {"NCHW": shape[1:], "NHWC": shape[:2], "NLC": shape[:1]}[layout]
    return sides[0] * sides[-1] if len(sides) > 1 else sides[0]


def channel_axis(node: fx.Node, steps: Mapping[fx.Node, Step], network: nn.Module) -> int | None:
    """Return the channel axis of a step's value, batch included; None if unknown.

    The steps that led to the value are followed back to the nearest whose axis is known.

    Args:
        node: The step.
        steps: The shapes of all steps.
        network: The module that the graph's steps refer to.
    """
    axis, path = None, [node]
    while axis is None:
        node = path[-1]
        name = step_name(node, network)
        shape = steps[node].shape
        if shape is None or node.op == "placeholder" or any(word in name for word in UNKNOWN):
            return None
        if any(word in name for word in CHANNELS_FIRST):
            axis = 1
        elif any(word in name for word in CHANNELS_LAST):
            axis = len(shape) - 1
        elif source := next((node for node in node.all_input_nodes if steps[node].shape), None):
            path.append(source)
        else:
            return None
    for source, moved in zip(path[:0:-1], path[-2::-1], strict=True):
        before, after = steps[source].shape, steps[moved].shape
        assert before is not None and after is not None, (source, moved)
        axis = None if axis is None else _moved(axis, before, after, moved, network)
    return axis


def step_name(node: fx.Node, network: nn.Module) -> str:
    """Return the kind of a step in lower case, such as ``conv2d`` or ``permute``."""
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__.lower()
    return str(getattr(node.target, "__name__", node.target)).lower()


def _moved(axis: int, before: Sequence[int], after: Sequence[int], node: fx.Node, network: nn.Module) -> int | None:
    """Where a step from one shape to another puts an axis; None if that is not known."""
    name = step_name(node, network)
    numbers = node.args[1] if len(node.args) > 1 and isinstance(node.args[1], tuple | list) else node.args[1:]
    where = [number % len(before) for number in numbers if isinstance(number, int)]
    if name.startswith("flatten"):
        start, stop = [*where, len(before) - 1][:2] if where else (0, len(before) - 1)
        return axis if axis < start else axis - stop + start if axis > stop else None
    if len(before) != len(after):
        return None
    if name.startswith("permute"):
        return where.index(axis) if axis in where else None
    if name.startswith(("transpose", "swapaxes")):
        first, second = where
        return {first: second, second: first}.get(axis, axis)
    return axis
