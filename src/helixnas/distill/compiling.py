"""Compile operations one by one with torch.compile: paths change from step to step, operations stay."""

import os
import shutil

from helixnas.distill.path_sampler import trainable_cells
from helixnas.errors import ConfigError
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet

COMPILERS = ("g++", "clang++")


def compile_operations(supernet: BlockSupernet, block: BlockSpace) -> None:
    """Compile each operation that learns, at its first call; names in the state dict stay as they are.

    Raises:
        ConfigError: There is no C++ compiler.
    """
    wanted = [os.environ["CXX"]] if "CXX" in os.environ else list(COMPILERS)
    if not any(map(shutil.which, wanted)):
        raise ConfigError(
            f"distill.compile is true, so there must be a C++ compiler, but {' and '.join(wanted)} cannot be found. "
            "Install one, or set distill.compile: false."
        )
    for cell in trainable_cells(block):
        for layer in supernet.layers(cell):
            for operation in layer:
                operation.compile()
