"""Whether the file in int8 is worth keeping: faster on this machine, and about as accurate on the rating part."""

from dataclasses import dataclass

from helixnas.runtimes import Latency


@dataclass(frozen=True, slots=True)
class Int8:
    """The figures by which the file in int8 was kept or not. Accuracies are 0 to 1, on the rating part."""

    kept: bool
    reason: str
    rating_acc: float
    float_rating_acc: float
    latency: Latency
    float_latency: Latency


def decide(
    is_asked: bool,
    max_acc_drop: float,
    accs: tuple[float, float],
    latencies: tuple[Latency, Latency],
) -> Int8:
    """Decide whether the file in int8 is kept.

    Args:
        is_asked: True keeps it whatever it is worth.
        max_acc_drop: What it may lose, 0 to 1.
        accs: Top-1 accuracy on the rating part of int8, and of float32.
        latencies: Of int8, and of float32, on this machine.
    """
    (acc, float_acc), (latency, float_latency) = accs, latencies
    drop = float_acc - acc
    figures = (
        f"{latency.p50_ms:.3f} ms where float32 takes {float_latency.p50_ms:.3f} ms, "
        f"and {acc:.2%} of the rating part right where float32 gets {float_acc:.2%}"
    )
    if is_asked:
        kept, reason = True, f"export.int8 is true: {figures}."
    elif not latency.p50_ms < float_latency.p50_ms:
        kept, reason = False, f"it is not faster here: {figures}."
    elif not drop <= max_acc_drop:
        kept, reason = False, f"it loses more than export.max_acc_drop: {figures}."
    else:
        kept, reason = True, f"it is faster here and loses no more than export.max_acc_drop: {figures}."
    return Int8(kept, reason, acc, float_acc, latency, float_latency)
