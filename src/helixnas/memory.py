"""Memory: what is freed is kept for the next step, and a lack of it is told from other faults."""

import ctypes
import errno
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_FOREVER = 2**31 - 1

_TEXTS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "shared memory",
    "storage size calculation overflowed",
    "integer multiplication overflow",
)
"""What torch says: on a CPU, on a GPU, and of a size beyond all bounds."""


def keep_freed_memory() -> None:
    """Let glibc keep what is freed; anywhere else, do nothing.

    By default it returns every tensor of more than some megabytes to the system and asks for it again a moment later,
    page by page: at 224 pixels that is a third of a step's time on a CPU. The peak stays what it was.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _FOREVER)
        libc.mallopt(_M_TRIM_THRESHOLD, _FOREVER)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory: Python's and NumPy's own, torch's on a CPU or a GPU.

    torch's errors have no type of their own on a CPU, so their text is what tells.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _TEXTS)
    )
