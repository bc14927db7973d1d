"""Networks made of candidates: one block's supernet, a whole student, its BatchNorm statistics."""

from helixnas.student.network import Deployed, StudentNetwork, assemble, reset
from helixnas.student.ops import build_layer, build_operation
from helixnas.student.own import operation, register_own
from helixnas.student.recalibrate import measuring, recalibrate
from helixnas.student.supernet import BlockSupernet

__all__ = [
    "BlockSupernet",
    "Deployed",
    "StudentNetwork",
    "assemble",
    "build_layer",
    "build_operation",
    "measuring",
    "operation",
    "recalibrate",
    "register_own",
    "reset",
]
