"""Costs of three kinds, as most tests need them."""

from helixnas.results import Cost

COUNTED = ("madds", "num_params")
KINDS = (*COUNTED, "latency_ms")


def three(madds: int, num_params: int, latency_ms: float | None = None) -> Cost:
    """A cost; None leaves the latency out."""
    return Cost(madds=madds, num_params=num_params, latency_ms=latency_ms)
