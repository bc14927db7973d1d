"""Custom code: whatever it raises, prints or changes, one message names it, and the process goes on as it was."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from helixnas import __main__ as command_line
from helixnas import custom as custom_code
from helixnas.custom import Custom, blame, load_custom, printing_to_stderr
from helixnas.errors import ConfigError

Load = Callable[[str], Custom]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Load ``custom_code:f`` from a module of these lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["helixnas", "distill", "--block-id", "2"])
    monkeypatch.setattr(custom_code, "_LOADED", {})

    def written(lines: str) -> Custom:
        (tmp_path / "custom_code.py").write_text(lines)
        return load_custom("custom_code:f", "data.source", "take data.path and return")

    yield written
    sys.modules.pop("custom_code", None)


ORIGIN = "In params.yaml data.source names custom_code:f, which `helixnas distill --block-id 2` ran. Correct that code."
BROKEN = "class Broken(Exception):\n def __str__(self): raise RuntimeError\n"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("def f(path): raise ValueError('boom')", "ValueError: boom"),
        ("def f(path): raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def f(path): raise SystemExit(2)", "SystemExit: 2"),
        ("def f(path): raise SystemExit", "SystemExit"),
        ("def f(path): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(path): return f(path)", "RecursionError: maximum recursion depth exceeded"),
        ("def f(path): raise ExceptionGroup('many', [OSError(1)])", "ExceptionGroup: many (1 sub-exception)"),
        (BROKEN + "def f(path): raise Broken", "Broken: <exception str() failed>"),
        ("class f: pass", "TypeError: f() takes no arguments"),
        ("def f(): pass", "TypeError: f() takes 0 positional arguments but 1 was given"),
        ("from helixnas.errors import DataError\ndef f(path): raise DataError('mine')", "DataError: mine"),
    ],
)
def test_an_error_is_told_by_function_key_and_command_before_its_traceback(load: Load, lines: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(lines)(Path("images"))
    line, *trace = str(caught.value).splitlines()
    assert line == f"custom_code:f must take data.path and return, but: {reason}. {ORIGIN}"
    assert ("Traceback (most recent call last):" in trace[0]) if trace else reason.startswith("TypeError: f() takes")
    assert not trace or any(reason.partition(":")[0] in told for told in trace[1:])
    assert not any("own.py" in told for told in trace)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("def f(path) return", "SyntaxError: expected ':' (custom_code.py, line 1)"),
        ("import absent_module", "ModuleNotFoundError: No module named 'absent_module'"),
        ("import custom", "ModuleNotFoundError: No module named 'custom'"),
        ("f = 1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_told_alike(load: Load, lines: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(lines)
    assert str(caught.value).splitlines()[0] == f"custom_code:f must be loaded, but: {reason}. {ORIGIN}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("custom_code:g", r"data\.source must name a function of custom_code, but it has no 'g'\. Correct"),
        ("custom_code:number", "but it has no 'number'"),
        ("custom_code.inner:f", r"there is no module 'custom_code\.inner'|'custom_code' is not a package"),
        ("absent:f", "there is no module 'absent'"),
    ],
)
def test_a_name_without_a_function_is_told(load: Load, name: str, message: str) -> None:
    load("number = 7\ndef f(path): pass")
    with pytest.raises(ConfigError, match=message):
        load_custom(name, "data.source", "return")


def state() -> list[Any]:
    return [
        Path.cwd(),
        set(sys.path),
        sys.stdout,
        sys.stderr,
        sys.stdout.closed,
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        os.fstat(1).st_ino,
        os.fstat(2).st_ino,
    ]


@pytest.mark.parametrize(
    "change",
    [
        "os.chdir('/')",
        "sys.path.clear()",
        "sys.stdout.close()",
        "sys.stdout = sys.stderr = None",
        "os.close(1), os.close(2)",
        "torch.set_default_dtype(torch.float64)",
        "torch.set_grad_enabled(False)",
        "torch.set_num_threads(3)",
    ],
)
@pytest.mark.parametrize("end", ["return 7", "raise ValueError"])
def test_what_it_changes_is_put_back(load: Load, change: str, end: str) -> None:
    custom = load(f"import os, sys, torch\ndef f():\n {change}\n {end}")
    before = state()
    with contextlib.suppress(ConfigError):
        assert custom() == 7
    assert state() == before


def test_a_stream_that_it_closes_is_opened_again(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled(), os.fdopen(os.dup(1), "w") as stream, contextlib.redirect_stdout(stream):
        custom = load("def f(stream): stream.close()")
        custom(stream)
        assert not sys.stdout.closed


def test_what_it_prints_goes_to_stderr_by_whatever_way(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["print('loaded')", "import logging, os, sys", "handler = logging.StreamHandler(sys.stdout)"]
    body = ["print('called')", "os.write(1, b'written\\n')", "os.system('echo run')", "sys.__stdout__.write('')"]
    custom = load("\n".join([*lines, "def f():", *(f" {line}" for line in body)]))
    print("before")
    custom()
    print("after")
    log = sys.modules["custom_code"].handler
    log.emit(logging.LogRecord("log", logging.INFO, "", 1, "later", (), None))
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert err.split() == ["loaded", "called", "written", "run", "later"]


def test_random_numbers_are_drawn_on(load: Load) -> None:
    custom = load("import torch\ndef f(): return torch.rand(1)")
    torch.manual_seed(0)
    wanted = [torch.rand(1), torch.rand(1)]
    torch.manual_seed(0)
    assert torch.equal(torch.cat([custom(), torch.rand(1)]), torch.cat(wanted))


def test_an_error_of_later_is_blamed_on_the_code_that_it_came_from(load: Load) -> None:
    made = load("def f():\n def later(): return {}['key']\n return later")()
    with pytest.raises(KeyError) as caught:
        made()
    line, *trace = blame(caught.value).splitlines()
    assert line == ORIGIN
    assert trace[-1] == "KeyError: 'key'"
    with pytest.raises(KeyError) as other:
        {}["key"]
    assert blame(other.value) == ""


@pytest.mark.parametrize("end", ["raise RuntimeError('boom')", "raise SystemExit(3)"])
def test_a_command_that_such_an_error_ends_says_so(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    custom = load(f"def f():\n def later(): {end}\n return later")
    monkeypatch.setattr(command_line, "app", lambda **_: custom()())
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("error: Custom code must run without errors, but: ")
    assert first.endswith(ORIGIN)


def test_a_witness_hears_when_custom_code_begins_and_ends(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(custom_code, "_WITNESSES", [heard.append])
    custom = load("def f(): raise ValueError")
    with pytest.raises(ConfigError):
        custom()
    assert [bool(text) for text in heard] == [True, False] * 2
    assert heard[2].startswith("custom_code:f must take data.path and return, but this process ended meanwhile")


@dataclass
class Told:
    """What a plan would tell."""

    fault: str | None = None


def test_a_plan_for_machines_is_json_whatever_custom_code_prints_in_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "_config", lambda: None)
    monkeypatch.setattr("helixnas.plan.planning.plan", lambda _: print("in a forward pass") or Told())
    command_line.plan(as_json=True)
    out, err = capfd.readouterr()
    assert (json.loads(out), err) == ({"fault": None}, "in a forward pass\n")


def test_printing_to_stderr_may_be_nested(capfd: pytest.CaptureFixture[str]) -> None:
    with printing_to_stderr():
        with printing_to_stderr():
            print("inner")
        print("outer")
    print("free")
    assert capfd.readouterr() == ("free\n", "inner\nouter\n")
