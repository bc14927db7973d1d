"""Images from any source, divided into parts, and drawn in batches."""

from helixnas.data.ahead import ahead, resolve_loaders
from helixnas.data.batches import derive_seed, epoch_batches, num_batches
from helixnas.data.images import INDEX, ImageSet, load_in_shape, normalize, room_for
from helixnas.data.pixels import Packed, read_images
from helixnas.data.prepare import Peek, Prepared, peek, peek_rating, prepare

__all__ = [
    "INDEX",
    "ImageSet",
    "Packed",
    "Peek",
    "Prepared",
    "ahead",
    "derive_seed",
    "epoch_batches",
    "load_in_shape",
    "normalize",
    "num_batches",
    "peek",
    "peek_rating",
    "prepare",
    "read_images",
    "resolve_loaders",
    "room_for",
]
