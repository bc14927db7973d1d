"""Custom code: functions of the user's, named in params.yaml as ``package.module:function``.

Where custom code raises an error while it is loaded or called, one message names it. What it prints goes to stderr, and
what it changes of this process is put back.
"""

import contextlib
import faulthandler
import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from helixnas.errors import ConfigError

_LOADED: dict[str, str] = {}
"""The custom functions of this process, each with its key of params.yaml."""
_WITNESSES: list[Callable[[str], None]] = []


@dataclass(frozen=True, slots=True)
class Custom:
    """A custom function. ``deed`` says what it must do, for messages: ``take data.path and return``."""

    name: str
    key: str
    deed: str
    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; whatever it raises is a ConfigError that names it."""
        with self.must(self.deed):
            return self.function(*args, **kwargs)

    def must(self, deed: str) -> contextlib.AbstractContextManager[None]:
        """A body that runs code of the function's, which must do ``deed``: see ``_guarded``."""
        return _guarded(self.name, self.key, deed)


def load_custom(name: str, key: str, deed: str) -> Custom:
    """The function behind ``name``; ConfigError, naming ``key`` of params.yaml, where there is none.

    ``deed`` says what the function must do.
    """
    module_name, _, function = name.partition(":")
    root = str(Path.cwd())
    if root not in sys.path:
        sys.path.insert(0, root)
    if not faulthandler.is_enabled():
        faulthandler.enable(2)  # a crash outside of Python cannot be told better
    _LOADED[name] = key
    absent = None
    with _guarded(name, key, "be loaded"):
        try:
            found = getattr(importlib.import_module(module_name), function, None)
        except ModuleNotFoundError as error:
            if not f"{module_name}.".startswith(f"{error.name}."):  # the module is there, but imports another
                raise
            absent = error.name
    if absent:
        raise ConfigError(
            f"{key} must name a function as package.module:function, found from the project's folder, but there is no "
            f"module {absent!r}. Correct {name!r} in params.yaml."
        )
    if not callable(found):
        raise ConfigError(f"{key} must name a function of {module_name}, but it has no {function!r}. Correct {name!r}.")
    return Custom(name, key, deed, found)


def blame(error: BaseException) -> str:
    """A sentence on the custom code that an error comes from, and its traceback; nothing where it comes from elsewhere.

    This is for what custom code raises later, such as a module of its own in a forward pass.
    """
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)}
    packages = {module.partition(".")[0] for module in modules}
    guilty = [name for name in _LOADED if name.partition(":")[0] in modules] or [
        name for name in _LOADED if name.partition(":")[0].partition(".")[0] in packages
    ]
    return _origin({name: _LOADED[name] for name in guilty}) + _trace(error) if guilty else ""


def reason(error: BaseException) -> str:
    """What an error says, on one line, even where its own text cannot be had."""
    text = " ".join(str(traceback.TracebackException.from_exception(error)).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def testify(witness: Callable[[str], None]) -> None:
    """Let someone who outlives this process know what to say if it ends within custom code; "" when that is left."""
    _WITNESSES.append(witness)


@contextlib.contextmanager
def _guarded(name: str, key: str, deed: str) -> Iterator[None]:
    """Run custom code in the body: whatever it raises is a ConfigError, and what it changes is put back."""
    rule, origin = f"{name} must {deed}", _origin({name: key})
    for witness in _WITNESSES:
        witness(
            f"{rule}, but this process ended meanwhile: by that code, by a user, or by the system for want of memory. "
            f"{origin}"
        )
    try:
        with _put_back(), printing_to_stderr():
            yield
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: the code cannot end a stage in silence
        raise ConfigError(f"{rule}, but: {reason(error)}. {origin}{_trace(error)}") from error
    finally:
        for witness in _WITNESSES:
            witness("")


def _origin(functions: dict[str, str]) -> str:
    """Which custom code it is, which key names it, and which command ran it."""
    named = ", ".join(f"{key} names {name}" for name, key in functions.items())
    return f"In params.yaml {named}, which `{shlex.join(['helixnas', *sys.argv[1:]])}` ran. Correct that code."


def _trace(error: BaseException) -> str:
    """The traceback behind a line break, without our own lines and the importer's; nothing where none is left."""
    told = traceback.TracebackException.from_exception(error)
    told.stack[:] = [
        frame for frame in told.stack if frame.filename != __file__ and not frame.filename.startswith("<frozen ")
    ]
    lines = list(told.format())
    return "\n" + "".join(lines).rstrip() if len(lines) > 1 else ""  # the error alone is told already


@contextlib.contextmanager
def _put_back() -> Iterator[None]:
    """Put the folder, the removed places of modules and torch's settings back; random numbers are drawn as they are."""
    import torch

    folder, places = Path.cwd(), list(sys.path)
    dtype, has_grad, num_threads = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    try:
        yield
    finally:
        os.chdir(folder)
        sys.path += [place for place in places if place not in sys.path]
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(has_grad)
        if torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Let all that the body prints go to stderr, by whatever way; it may close the streams."""
    streams, numbers = (sys.stdout, sys.stderr), (1, 2)
    _flush(*streams)
    saved = [os.dup(number) for number in numbers]
    os.dup2(2, 1)
    # not the stream that there is, which the body could close, and never closed here: a logger may keep it
    lent = sys.stdout = sys.stderr = _open(2)
    try:
        yield
    finally:
        _flush(lent, *streams)
        for number, file in zip(numbers, saved, strict=True):
            os.dup2(file, number)
            os.close(file)
        sys.stdout, sys.stderr = (
            _open(number) if stream.closed else stream for stream, number in zip(streams, numbers, strict=True)
        )


def _open(number: int) -> TextIO:
    return os.fdopen(number, "w", buffering=1, errors="backslashreplace", closefd=False)


def _flush(*streams: TextIO) -> None:
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):  # it is closed
            stream.flush()
