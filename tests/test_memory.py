"""Freed memory stays: counted in pages that the system had to hand out anew. A lack of it is one message."""

import errno
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from helixnas import __main__ as command_line

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


def fails(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


LACKS = [
    lambda: np.ones(10**15),
    lambda: bytearray(10**15),
    lambda: torch.ones(10**15),
    lambda: torch.ones(10**12, 10**12),
    fails(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nSee documentation")),
    fails(OSError(errno.ENOMEM, "Cannot allocate memory")),
    fails(MemoryError()),
]


@pytest.mark.parametrize("ask", LACKS)
def test_a_lack_of_memory_is_one_message_that_names_what_to_lower(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "app", lambda **_: ask())
    monkeypatch.setattr(sys, "argv", ["helixnas", "distill", "--block-id", "1"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: The machine must have the memory that distill asks for, but: ")
    assert "Lower distill.batch_size, search_space.expansions, data.image_size or flow.num_workers" in line


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 do not fit"), RecursionError(), OSError(errno.EIO, "bad")]
)
def test_another_fault_keeps_its_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "app", lambda **_: fails(error)())
    with pytest.raises(type(error)):
        command_line.main()
