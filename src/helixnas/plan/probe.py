"""Measure the seconds and the bytes of memory that a piece of work takes here."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def train_step(network: nn.Module, forward: Callable[[], Tensor]) -> tuple[float, int]:
    """Measure the seconds of a forward and a backward pass, and the bytes that autograd keeps between the two.

    Args:
        network: Its gradients are dropped afterwards.
        forward: Runs the forward pass.
    """
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    def step() -> None:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            outputs = forward()
            if outputs.requires_grad:
                outputs.square().mean().backward()

    step_s = seconds(step)
    network.zero_grad(set_to_none=True)
    return step_s, sum(saved.values())


def seconds(run: Callable[[], Any]) -> float:
    """Return the shorter time of two runs in seconds, after a run that warms up."""
    run()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def num_bytes(network: nn.Module) -> int:
    """Return the size of a network's state dict in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
