"""The arithmetic rate of a distil step, against torch's own convolutions of the same shapes, one after another.

A step is all of it: path, forward, loss, backward, AdamW. The rival runs the convolutions of the same paths alone,
forward and backward, on tensors that lie ready. Both do the same multiply-adds, so the ratio of times is that of rates.
Run: python benchmarks/distill_rate.py
"""

from functools import partial
from typing import Any

import torch
from distilling import resnet
from figure import Figure, in_turns, publish
from torch import Tensor, nn
from torch.nn.functional import conv2d

from helixnas.distill import Distillation
from helixnas.memory import keep_freed_memory
from helixnas.teacher import BlockBatch

NUM_ROUNDS, NUM_STEPS, BATCH_SIZE = 5, 6, 64


def recorded(training: Distillation, batch: BlockBatch) -> list[tuple[nn.Conv2d, Tensor]]:
    """The convolutions of the next steps with their inputs; the steps are taken, as a warm-up."""
    calls: list[tuple[nn.Conv2d, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        assert isinstance(module, nn.Conv2d)
        calls.append((module, inputs[0].detach().clone(memory_format=torch.preserve_format).requires_grad_()))

    convolutions = [module for module in training.supernet.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(note) for module in convolutions]
    training.begin_epoch()
    for offset in range(NUM_STEPS):
        training.step(offset, batch)
    for hook in hooks:
        hook.remove()
    return calls


def steps(training: Distillation, batch: BlockBatch) -> None:
    for offset in range(NUM_STEPS):
        training.step(offset, batch)


def convolve(calls: list[tuple[nn.Conv2d, Tensor]], gradients: list[Tensor]) -> None:
    """By torch's function: our modules may have a gradient of their own."""
    for (module, x), gradient in zip(calls, gradients, strict=True):
        settings = module.stride, module.padding, module.dilation, module.groups
        y = conv2d(x, module.weight, module.bias, *settings)  # type: ignore[arg-type]
        torch.autograd.grad(y, (x, module.weight), gradient)


def main() -> None:
    keep_freed_memory()  # as every stage does; it speeds up both ways
    bench = resnet(BATCH_SIZE, BATCH_SIZE, epochs=1)
    figures = []
    for block_id in bench.block_ids:
        (batch,) = next(iter(bench.batches()(0, [block_id])))
        training = bench.member(block_id, NUM_STEPS * (2 + NUM_ROUNDS)).training
        calls = recorded(training, batch)
        gradients = [torch.randn_like(module(x)) for module, x in calls]
        convolve(calls, gradients)
        rounds = in_turns([partial(steps, training, batch), partial(convolve, calls, gradients)], NUM_ROUNDS)
        figures.append([(step_s, convolution_s) for (step_s, _), (convolution_s, _) in rounds])
    shares = [
        100 * sum(convolution_s for _, convolution_s in each) / sum(step_s for step_s, _ in each)
        for each in zip(*figures, strict=True)
    ]
    publish(
        Figure(
            "a distil step's arithmetic rate",
            "torch's own convolutions of the same shapes, which are 100 %",
            tuple(shares),
            goal=50,
            unit="%",
            note=f"the default teacher's five blocks, params.yaml's space, batches of {BATCH_SIZE}, one thread",
        )
    )


if __name__ == "__main__":
    main()
