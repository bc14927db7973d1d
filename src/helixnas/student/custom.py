"""Operations of the user's own: one decorated function each, checked before anything is trained with it."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from helixnas.custom import Custom, load_custom
from helixnas.errors import ConfigError
from helixnas.search_space import Candidate, LayerSpec, custom_candidate

Operation = Callable[[LayerSpec], nn.Module]

CUSTOM: dict[str, Custom] = {}
"""The user's operations, by the kind of their candidate."""
_IS_OPERATION = "is_helixnas_operation"
SIDE = 8
NUM_TOKENS = 9


def operation(function: Operation) -> Operation:
    """Mark a function from a LayerSpec to a module as an operation that ``search_space.operations`` may name."""
    setattr(function, _IS_OPERATION, True)
    return function


def register_custom(operations: Sequence[str], token_operations: Sequence[str]) -> None:
    """Load the operations that params.yaml names; ConfigError where one is not there, or not decorated."""
    for key, names in (("operations", operations), ("token_operations", token_operations)):
        for name in names:
            custom = load_custom(name, f"search_space.{key}", "take a LayerSpec and return")
            if not hasattr(custom.function, _IS_OPERATION):
                raise ConfigError(f"{name} must be decorated with @helixnas.student.operation, but is not.")
            CUSTOM[custom_candidate(name).kind] = custom


def is_custom(candidate: Candidate) -> bool:
    """Whether the candidate is an operation of the user's own."""
    return candidate.kind in CUSTOM


def build_custom(custom: Custom, layer: LayerSpec) -> nn.Module:
    """A module of the user's for a layer; ConfigError unless it gives the layer's shape and passes gradients on."""
    module = custom(layer)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{custom.name} must return a torch.nn.Module, but returns {type(module).__name__}.")
    with torch.inference_mode(mode=False), torch.enable_grad():  # wherever the module is built
        _check(custom, module, layer)
    return module


def _check(custom: Custom, module: nn.Module, layer: LayerSpec) -> None:
    name, (inputs, wanted) = custom.name, _example(layer)
    state = torch.get_rng_state()  # the check must not move the initial weights of what is built next
    try:
        with custom.must(f"take {tuple(inputs.shape)} at {_place(layer)}"):
            outputs = module(inputs)
    finally:
        torch.set_rng_state(state)
    given = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if given != wanted:
        raise ConfigError(f"{name} must give {wanted} for {tuple(inputs.shape)} at {_place(layer)}, but gives {given}.")
    if outputs.requires_grad:
        with custom.must(f"pass a gradient on at {_place(layer)}"):
            outputs.square().mean().backward()
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if inputs.grad is None or not inputs.grad.isfinite().all() or any(p.grad is None for p in learning):
        raise ConfigError(f"{name} must pass a finite gradient to its input and to every weight, but does not.")
    module.zero_grad(set_to_none=True)
    for child in module.modules():  # what the check showed BatchNorm is none of its business
        if callable(forget := getattr(child, "reset_running_stats", None)):
            forget()


def _example(layer: LayerSpec) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Random inputs for a layer, and the shape of what it must give. Tokens where it is a layer of tokens."""
    generator = torch.Generator().manual_seed(0)
    in_side, out_side = SIDE * layer.stride, SIDE
    if layer.is_map:
        in_shape, out_shape = (layer.in_width, in_side, in_side), (layer.out_width, out_side, out_side)
        return torch.randn(2, *in_shape, generator=generator).requires_grad_(), (2, *out_shape)
    tokens = torch.randn(2, NUM_TOKENS, layer.in_width, generator=generator)
    return tokens.requires_grad_(), (2, NUM_TOKENS, layer.out_width)


def _place(layer: LayerSpec) -> str:
    return f"a layer of {layer.in_width} to {layer.out_width} channels, stride {layer.stride}"
