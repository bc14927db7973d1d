"""The most memory that a forward pass holds for activations at one time, as MCUNet counts it (Lin et al. 2020).

An activation is held from the operation that makes it to the last operation that reads it. Weights do not count, nor
do the scratch buffers of single kernels; attention counts as it is without fused kernels. The parts of a student hand
on one tensor each, so at any time only the activations of one part are held, and the peak of the student is the
largest peak of its parts.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helixnas.cost_kinds.kind import CountedKind
from helixnas.counting import unfused_attention


class PeakMemoryBytes(CountedKind):
    """Bytes of activations at the peak of one forward pass of one image, in float32."""

    title = "peak memory"
    unit = "bytes"
    combine = "max"

    def count(self, network: nn.Module, in_shape: tuple[int, ...]) -> int:
        """Count on zeros of the input's shape, in the order in which PyTorch runs the operations."""
        image = torch.zeros(1, *in_shape)
        with unfused_attention(), _Lifetimes(network, image) as lifetimes:
            output = network(image)
        peak: int = lifetimes.peak(output)
        return peak


KIND = PeakMemoryBytes()


class _Lifetimes(TorchDispatchMode):
    """Records when each activation is made, and when it is last read; views of one memory count once.

    The first operation has the number 1, and what comes in is there from 0.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = {_key(tensor) for tensor in (*network.parameters(), *network.buffers())}
        self._held: list[torch.UntypedStorage] = []  # else a freed storage's address would come back for another
        self._spans: dict[int, tuple[int, int]] = {}
        self._sizes: dict[int, int] = {}
        self._step = 0
        self._see(image)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self._step += 1
        for tensor in _tensors((args, kwargs, out)):
            self._see(tensor)
        return out

    def peak(self, output: object) -> int:
        """Return the most bytes that are held at one step; ``output`` is held to the end."""
        for tensor in _tensors(output):
            self._see(tensor)
        changes = [0] * (self._step + 2)
        for key, (first, last) in self._spans.items():
            changes[first] += self._sizes[key]
            changes[last + 1] -= self._sizes[key]
        held = most = 0
        for change in changes:
            held += change
            most = max(most, held)
        return most

    def _see(self, tensor: Tensor) -> None:
        key = _key(tensor)
        if key in self._weights:
            return
        if key not in self._spans:
            storage = tensor.untyped_storage()
            self._held.append(storage)
            self._sizes[key] = storage.nbytes()
        first, _ = self._spans.get(key, (self._step, self._step))
        self._spans[key] = (first, self._step)


def _key(tensor: Tensor) -> int:
    """The identity of a tensor's memory."""
    return int(tensor.untyped_storage()._cdata)


def _tensors(values: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
