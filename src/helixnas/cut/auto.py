"""The automatic cut: two ways to find where exactly one tensor crosses; the second is tried where the first fails."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helixnas.cut import by_export, by_fx, graph
from helixnas.cut.boundaries import Boundaries
from helixnas.cut.pieces import CutTeacher, assemble, prove
from helixnas.errors import CutError

WAYS: dict[str, Callable[[nn.Module, int, Tensor], Boundaries]] = {
    "torch.fx": by_fx.find,
    "torch.export": by_export.find,
}


def auto(network: nn.Module, num_blocks: int, example: Tensor) -> CutTeacher:
    """The teacher cut into ``num_blocks`` blocks where it falls apart most naturally, proved.

    CutError if it is not the same twice, or with what each way met.
    """
    graph.require_one_input(network)
    network.eval()
    _require_steady(network, example)
    reasons = []
    for name, find in WAYS.items():
        try:
            teacher = assemble(network, find(network, num_blocks, example), example)
            prove(teacher, example)
        except CutError as error:
            reasons.append(f"{name}: {error}")
        else:
            return teacher
    asked = f"The teacher must fall apart into {num_blocks} blocks, but no way to cut it works."
    remedy = (
        "Ask for fewer blocks, list the modules of each in teacher.blocks, or, where code looks at the values of a "
        "tensor, put that code into a function decorated with @torch.fx.wrap."
    )
    raise CutError("\n  ".join([asked, *reasons, remedy]))


@torch.no_grad()
def _require_steady(network: nn.Module, example: Tensor) -> None:
    """CutError unless the network gives one tensor, the same twice, in eval mode."""
    first, second = _outputs(network, example), _outputs(network, example)
    value = first[""]
    if not isinstance(value, Tensor):
        raise CutError(f"The teacher must return one tensor, but returns {type(value).__name__}.")
    if not _equal(value, second[""]):
        changed = (path for path, one in first.items() if path and not _equal(one, second.get(path)))
        where = next(changed, "its own code")
        raise CutError(
            f"The teacher must give the same twice in eval mode, but differs first in {where}. "
            "Is something random there, or kept between calls?"
        )


def _outputs(network: nn.Module, example: Tensor) -> dict[str, object]:
    """What each module gave when it ended for the first time, in that order; the network itself last, as ''."""
    outputs: dict[str, object] = {}

    def keep(path: str, output: object) -> None:
        outputs.setdefault(path, output.clone() if isinstance(output, Tensor) else output)

    handles = [
        module.register_forward_hook(lambda _module, _args, output, path=path: keep(path, output))
        for path, module in network.named_modules()
    ]
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return type(one) is type(other)
