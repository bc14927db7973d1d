"""Freed memory stays: counted in pages that the system had to hand out anew."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from helixnas.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**25)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


def num_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked to keep memory, and nothing else")
def test_what_was_freed_is_used_again_without_asking_for_pages() -> None:
    assert num_faults("kept") * 10 < num_faults("given back")
