"""Custom operations: one decorated function for each, checked before anything is trained with the operation."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from helixnas.custom import Custom, load_custom
from helixnas.errors import ConfigError
from helixnas.search_space import LayerSpec, custom_candidate

Operation = Callable[[LayerSpec], nn.Module]

CUSTOM: dict[str, Custom] = {}
"""The custom operations, by the kind of their candidate."""
_IS_OPERATION = "is_helixnas_operation"
SIDE = 8
"""Height and width in pixels of the maps on which a custom operation is checked."""
NUM_TOKENS = 9
"""Number of tokens on which a custom operation is checked."""


def operation(function: Operation) -> Operation:
    """Mark a function from a LayerSpec to a module as an operation that ``search_space.operations`` may name."""
    setattr(function, _IS_OPERATION, True)
    return function


def register_custom(operations: Sequence[str], token_operations: Sequence[str]) -> None:
    """Load the custom operations that params.yaml names.

    Raises:
        ConfigError: An operation does not exist, or is not decorated with ``@operation``.
    """
    for key, names in (("operations", operations), ("token_operations", token_operations)):
        for name in names:
            custom = load_custom(name, f"search_space.{key}", "take a LayerSpec and return")
            if not hasattr(custom.function, _IS_OPERATION):
                raise ConfigError(f"{name} must be decorated with @helixnas.student.operation, but is not.")
            CUSTOM[custom_candidate(name).kind] = custom


def custom_name(kind: str) -> str | None:
    """Return what params.yaml calls the custom operation of this kind; None where there is none."""
    return CUSTOM[kind].name if kind in CUSTOM else None


def build_custom(custom: Custom, layer: LayerSpec) -> nn.Module:
    """Build the module of a custom operation for a layer, and check it on random inputs.

    Raises:
        ConfigError: The operation gives no module, an output of another shape, or no finite gradient to its input and
            weights.
    """
    module = custom(layer)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{custom.name} must return a torch.nn.Module, but returns {type(module).__name__}.")
    with torch.inference_mode(mode=False), torch.enable_grad():  # the caller may be in inference mode
        _check(custom, module, layer)
    return module


def _check(custom: Custom, module: nn.Module, layer: LayerSpec) -> None:
    name, (inputs, wanted) = custom.name, _example(layer)
    place = f"a layer of {layer.in_width} to {layer.out_width} channels, stride {layer.stride}"
    state = torch.get_rng_state()  # the check must not move the initial weights of what is built next
    try:
        with custom.must(f"take {tuple(inputs.shape)} at {place}"):
            outputs = module(inputs)
    finally:
        torch.set_rng_state(state)
    given = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if given != wanted:
        raise ConfigError(f"{name} must give {wanted} for {tuple(inputs.shape)} at {place}, but gives {given}.")
    if outputs.requires_grad:
        with custom.must(f"pass a gradient on at {place}"):
            outputs.square().mean().backward()
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if inputs.grad is None or not inputs.grad.isfinite().all() or any(p.grad is None for p in learning):
        raise ConfigError(f"{name} must pass a finite gradient to its input and to every weight, but does not.")
    module.zero_grad(set_to_none=True)
    for child in module.modules():  # BatchNorm must not remember the random inputs of this check
        if callable(forget := getattr(child, "reset_running_stats", None)):
            forget()


def _example(layer: LayerSpec) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Random inputs for a layer (tokens for a token layer), and the shape of the output that the layer must give."""
    generator = torch.Generator().manual_seed(0)
    in_side, out_side = SIDE * layer.stride, SIDE
    if layer.is_map:
        in_shape, out_shape = (layer.in_width, in_side, in_side), (layer.out_width, out_side, out_side)
        return torch.randn(2, *in_shape, generator=generator).requires_grad_(), (2, *out_shape)
    tokens = torch.randn(2, NUM_TOKENS, layer.in_width, generator=generator)
    return tokens.requires_grad_(), (2, NUM_TOKENS, layer.out_width)
