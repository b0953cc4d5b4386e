"""The one place that knows the command-line library.

A stage is a function with typed, keyword-only arguments. :func:`run` turns its signature into
snake_case flags (a hyphen is as good as an underscore, an abbreviation is refused), adds
``--config FILE.yaml`` (flags win over the file, unknown keys are refused), and turns bad input into one
line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

import jsonargparse
from jsonargparse import ArgumentParser
from jsonargparse.typing import register_type

from dacr.core import streams
from dacr.core.errors import UserError


class FloatList(tuple[float, ...]):
    """A list of numbers on the command line: ``"1,5,10,20"``."""


class IntList(tuple[int, ...]):
    """A list of whole numbers on the command line: ``"1,2,3"``."""


class StrList(tuple[str, ...]):
    """A list of names on the command line: ``"mbpp,grade-school-math"``."""


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


def _numbers(value: Any, kind: type, what: str) -> list[Any]:
    out = []
    for item in _items(value):
        try:
            number = float(item)
            if number != number or number in (float("inf"), float("-inf")):
                raise ValueError
            if kind is int and number != int(number):
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(f"{item!r} is not {what} in the list {value!r}") from None
        out.append(kind(number))
    return out


def _join(value: Any) -> str:
    return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)


register_type(FloatList, _join, lambda v: FloatList(_numbers(v, float, "a number")), fail_already_registered=False)
register_type(IntList, _join, lambda v: IntList(_numbers(v, int, "a whole number")), fail_already_registered=False)
register_type(StrList, _join, lambda v: StrList(str(i) for i in _items(v)), fail_already_registered=False)


def run(
    stage: Callable[..., Any],
    argv: Sequence[str] | None = None,
    config_flag: str | None = "--config",
    settings_class: type | None = None,
    positional: bool = False,
    commands: Mapping[str, Callable[[Any], Any]] | None = None,
) -> int:
    """Run ``stage`` with arguments from the command line; return the exit code.

    Parameters
    ----------
    stage : callable
        Keyword arguments become flags; the docstring becomes the help. It returns None or an exit code.
    config_flag : str or None
        Name of the flag that reads a YAML file of flags; None where the stage uses ``--config`` itself.
    settings_class : type, optional
        A dataclass whose fields are the flags; the stage then gets one instance of it.
    positional : bool
        Arguments without a default stand without a flag: ``compare_runs.py A B``.
    commands : mapping, optional
        Switches that are no settings, such as ``list``: where one is given, its function runs in place of the stage, on
        the same settings. Its docstring is the help.
    """
    streams.make_usable()
    source = stage if settings_class is None else settings_class
    parser = _Parser(prog=os.path.basename(sys.argv[0]), description=_summary(stage), exit_on_error=True)
    if config_flag:
        parser.add_argument(config_flag, action="config", help="YAML file with flags; flags given here win")
    if settings_class is None:
        parser.add_function_arguments(stage, as_group=False, as_positional=positional)
    else:
        parser.add_class_arguments(settings_class, as_group=False)
    commands = commands or {}
    for name, command in commands.items():
        parser.add_argument(f"--{name}", action="store_true", help=_summary(command))
    try:
        words = parser.spelt(sys.argv[1:] if argv is None else argv)
        # A command is a switch too: --list true means --list.
        words = [w for w, before in zip(words, ["", *words], strict=False) if w != "true" or before[2:] not in commands]
        words = _spell_out_switches(source, _join_lists(source, words), positional)
        try:
            chosen = parser.parse_args(words)
        except UnicodeDecodeError:  # of the file of flags: nothing else is read so far
            raise UserError(f"{config_flag}: not UTF-8 text; expected a YAML file with flags") from None
        settings = parser.instantiate(chosen).as_dict()
        if config_flag:
            settings.pop(config_flag.lstrip("-"), None)
        asked = [command for name, command in commands.items() if settings.pop(name)]
        if settings_class is None:
            return int(stage(**settings) or 0)
        return int([*asked, stage][0](settings_class(**settings)) or 0)
    except UserError as error:
        return _fail(str(error))
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        return _fail(f"{error.strerror}: {error.filename!r}; name another path or mend its permissions")
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # as in `... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        if error.errno == errno.ENOSPC or "No space left" in str(error):  # Arrow says it in its own words
            where = f" for {error.filename!r}" if error.filename else ""
            return _fail(f"no space left on the disk{where}; free some, or name an output on another disk")
        if error.filename is None:
            raise
        return _fail(f"{error.strerror}: {error.filename!r}")
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; nothing half-written was kept", file=sys.stderr)
        return 130


def values_of(settings_class: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Turn plain values, as a YAML file gives them, into those that the fields of a settings class take.

    Parameters
    ----------
    where : str
        What an error begins with: the file and the section.

    Raises
    ------
    UserError
        A key that is no field, or a value that does not fit its field.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(settings_class, as_group=False)
    known = [action.dest for action in parser._actions]
    for name in given:
        if name not in known:
            raise UserError(f"{where}: unknown key {name!r}{did_you_mean(str(name), known)}")
    try:
        parsed = parser.parse_object(dict(given))
    except argparse.ArgumentError as error:
        raise UserError(f"{where}: {_tidy(str(error), parser)}") from None
    return {name: parsed[name] for name in given}


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``"; did you mean ...?"`` where some known name is near, else nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a keyword that is no setting, with the nearest one that is."""
    names = list(known)
    for name in given:
        if name not in names:
            raise UserError(f"{what} has no setting {name!r}{did_you_mean(name, names)}; it has {', '.join(names)}")


class _Parser(ArgumentParser):  # type: ignore[misc]
    """Says an error in one line; the library's own error prints the usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise SystemExit(_fail(f"{_tidy(message, self)}; see {self.prog} --help"))

    def spelt(self, words: Sequence[str]) -> list[str]:
        """Return the words with underscores in their flags; a flag that is none is a :class:`UserError`."""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        out = []
        for word in words:
            name, equals, value = word.partition("=")
            flag = "--" + name[2:].replace("-", "_")
            if len(name) < 3 or not name.startswith("--"):
                out.append(word)
            elif flag in known:
                out.append(flag + equals + value)
            else:
                raise UserError(f"unknown flag {name}{did_you_mean(flag, known)}; see {self.prog} --help")
        return out


def _join_lists(stage: Callable[..., Any], words: list[str]) -> list[str]:
    """Let a list stand in several words: ``--models a b`` means ``--models a,b``."""
    hints = inspect.signature(stage).parameters.values()
    lists = {f"--{hint.name}" for hint in hints if re.search(r"\b(Float|Int|Str)List\b", str(hint.annotation))}
    out: list[str] = []
    gathering = False
    for word in words:
        if word.startswith("--"):
            gathering = word in lists
        elif gathering and not out[-1].startswith("--"):
            out[-1] = f"{out[-1]},{word}"
            continue
        out.append(word)
    return out


def _spell_out_switches(stage: Callable[..., Any], words: list[str], positional: bool) -> list[str]:
    """Let a switch stand alone: ``--serve`` means ``--serve true``.

    What follows it is its value, but where arguments may stand without a flag: there only "true" and "false" are.
    """
    hints = inspect.signature(stage).parameters.values()
    switches = {f"--{hint.name}" for hint in hints if isinstance(hint.default, bool)}
    out: list[str] = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        out.append(word)
        valued = following.lower() in ("true", "false") if positional else bool(following) and following[:2] != "--"
        if word in switches and not valued:
            out.append("true")
    return out


def _tidy(message: str, parser: ArgumentParser) -> str:
    """Return the library's message in one line; of a value of the wrong kind, what was expected in plain words."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    text = "; ".join(line.rstrip(":") if line.endswith(":") else line for line in lines)
    wrong = re.search(r'Parser key "([^"]+)".*(?:Given|Got) value: (.*)$', text)
    hints = {action.dest: getattr(action, "_typehint", action.type) for action in parser._actions}
    if wrong and wrong[1] in hints:
        return f"--{wrong[1]}: expected {_in_words(hints[wrong[1]])}, got {wrong[2]!r}"
    if unknown := re.search(r"Option '([^']+)' is not accepted", text):
        return f"unknown key {unknown[1]!r}{did_you_mean(unknown[1], list(hints))}"
    if text.startswith("Unexpected config"):
        return "a file of flags should hold a mapping, one line 'name: value' for each flag"
    text = re.sub(r"^Problems parsing config: ", "the file of flags is not YAML: ", text)
    text = re.sub(r'Parser key "([^"]+)"[;:]', r"--\1:", text)
    return re.sub(r"Not of type \w+: ", "", text)


def _in_words(hint: Any) -> str:
    """Return what a type takes on the command line.

    Examples
    --------
    >>> _in_words(int | None), _in_words(Literal["a", "b"])
    ('a whole number', 'a or b')
    """
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_in_words(part) for part in get_args(hint) if part is not type(None))
    return _KINDS.get(get_origin(hint) or hint, getattr(hint, "__name__", str(hint)))


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    dict: "a mapping such as {name: value}",
    FloatList: "numbers with commas between",
    IntList: "whole numbers with commas between",
    StrList: "names with commas between",
}


def _summary(stage: Callable[..., Any]) -> str:
    return (stage.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


__all__ = ["FloatList", "IntList", "StrList", "check_known", "did_you_mean", "jsonargparse", "run", "values_of"]
