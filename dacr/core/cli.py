"""The one place that knows the command-line library.

A stage is a function with typed, keyword-only arguments. :func:`run` turns its signature into
snake_case flags (a hyphen is as good as an underscore, an abbreviation is refused), adds
``--config FILE.yaml`` (flags win over the file, unknown keys are refused), and turns bad input into one
line on stderr and exit code 2.
"""

import errno
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from dacr.core.errors import UserError, did_you_mean
from dacr.core.values import FloatList, IntList, StrList, check_known, in_words, tidy, values_of


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
    _make_streams_usable()
    source = stage if settings_class is None else settings_class
    name, about = os.path.basename(sys.argv[0]), _summary(stage)
    parser = _Parser(prog=name, description=about, exit_on_error=True, formatter_class=_Help)
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


class _Help(DefaultHelpFormatter):  # type: ignore[misc]
    """Names types in words: ``a path``, where the library has ``<class 'Path'>``."""

    def _get_type_str(self, action: Any) -> str | None:
        hint = getattr(action, "_typehint", action.type)
        return None if hint is None else in_words(hint)


class _Parser(ArgumentParser):  # type: ignore[misc]
    """Says an error in one line; the library's own error prints the usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(f"{tidy(message, self)}; see {self.prog} --help")

    def spelt(self, words: Sequence[str]) -> list[str]:
        """Return the words with underscores in their flags; a flag that is none is a :class:`UserError`."""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        out = []
        for word, following in zip(words, [*words, None][1:], strict=True):
            name, equals, value = word.partition("=")
            flag = "--" + name[2:].replace("-", "_")
            if len(name) < 3 or not name.startswith("--"):
                out.append(word)
            elif flag in known:
                out.append(flag + equals + value)
                hint = getattr(self._option_string_actions[flag], "_typehint", None)
                # Nothing, as of a variable that is not set, would mean this folder.
                if (value if equals else following) == "" and Path in (hint, *get_args(hint)):
                    raise UserError(f"{flag}: expected a path, got ''; see {self.prog} --help")
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


def _make_streams_usable() -> None:
    """Open what is closed; where a terminal can't show a letter, write its escape.

    A standard stream that was closed (``2>&-``, a service without one) goes nowhere, so that it can be written to. The
    descriptors are taken too: a file that is opened later under the number 2 would get what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - open as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _summary(stage: Callable[..., Any]) -> str:
    return (stage.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


__all__ = ["FloatList", "IntList", "StrList", "check_known", "run", "values_of"]
