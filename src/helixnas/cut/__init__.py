"""Where a network is divided into blocks, and the proof that its pieces together equal the network."""

from helixnas.cut.boundaries import Boundaries
from helixnas.cut.cut import cut, recut
from helixnas.cut.pieces import CutTeacher, prove

__all__ = ["Boundaries", "CutTeacher", "cut", "prove", "recut"]
