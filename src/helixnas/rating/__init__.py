"""Rate every path of a block."""

from helixnas.rating.rate import rate

__all__ = ["rate"]
