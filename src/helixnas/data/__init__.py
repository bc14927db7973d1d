"""Images from any source, divided into parts, and drawn in batches."""

from helixnas.data.batches import derive_seed, epoch_batches, num_batches
from helixnas.data.images import ImageSet, normalize, room_for
from helixnas.data.prepare import Peek, Prepared, peek, peek_rating, prepare
from helixnas.data.read import read_images

__all__ = [
    "ImageSet",
    "Peek",
    "Prepared",
    "derive_seed",
    "epoch_batches",
    "normalize",
    "num_batches",
    "peek",
    "peek_rating",
    "prepare",
    "read_images",
    "room_for",
]
