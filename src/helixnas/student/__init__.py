"""Networks made of candidates: the supernet of one block, a whole student, and its BatchNorm statistics."""

from helixnas.student.adapter import has_tail, new_tail
from helixnas.student.build import build_operation
from helixnas.student.custom import custom_name, operation, register_custom
from helixnas.student.depthwise import quicken
from helixnas.student.embedding import Predictor, Projector, agreement, require_distinct, spread
from helixnas.student.network import Deployed, StudentNetwork, assemble
from helixnas.student.recalibrate import measuring, num_calibration_images, recalibrate
from helixnas.student.supernet import BlockSupernet, borrowed, new_operation
from helixnas.student.together import Together, losses_together

__all__ = [
    "BlockSupernet",
    "Deployed",
    "Predictor",
    "Projector",
    "StudentNetwork",
    "Together",
    "agreement",
    "assemble",
    "borrowed",
    "build_operation",
    "custom_name",
    "has_tail",
    "losses_together",
    "measuring",
    "new_operation",
    "new_tail",
    "num_calibration_images",
    "operation",
    "quicken",
    "recalibrate",
    "register_custom",
    "require_distinct",
    "spread",
]
