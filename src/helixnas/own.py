"""Code of the user's own, named in params.yaml as ``package.module:function`` and found from the project's folder."""

import importlib
import sys
from pathlib import Path
from typing import Any

from helixnas.errors import ConfigError


def load_own(name: str, key: str) -> Any:
    """The function behind ``name``; ConfigError, naming ``key`` of params.yaml, where there is none.

    What the module itself raises while it is imported comes through: it is the user's to see, traceback and all.
    """
    module_name, _, function = name.partition(":")
    root = str(Path.cwd())
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ConfigError(
            f"{key} must name a function as package.module:function, found from the project's folder, but there is no "
            f"module {error.name!r}. Correct {name!r} in params.yaml."
        ) from error
    if not callable(found := getattr(module, function, None)):
        raise ConfigError(f"{key} must name a function of {module_name}, but it has no {function!r}. Correct {name!r}.")
    return found
