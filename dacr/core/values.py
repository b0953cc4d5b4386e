"""Values from outside: what flags and files may hold, and one line that says what is wrong with a value."""

import argparse
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from inspect import signature
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from jsonargparse import ArgumentParser
from jsonargparse.typing import register_type, restricted_number_type

from dacr.core.errors import UserError, did_you_mean, unknown

T = TypeVar("T")

if TYPE_CHECKING:
    Above0: TypeAlias = float
    AtLeast0: TypeAlias = float
    FactorFrom1: TypeAlias = float
    Share: TypeAlias = float
    ShareAbove0: TypeAlias = float
    ShareBelow1: TypeAlias = float
    ShareBetween: TypeAlias = float
    AtLeast1: TypeAlias = int
    Whole: TypeAlias = int
else:  # what the library checks: finite numbers, and whole numbers from 1 and from 0
    from jsonargparse.typing import ClosedUnitInterval as Share
    from jsonargparse.typing import NonNegativeInt as Whole
    from jsonargparse.typing import OpenUnitInterval as ShareBetween
    from jsonargparse.typing import PositiveInt as AtLeast1

    Above0 = restricted_number_type("Above0", float, [(">", 0), ("<", float("inf"))])
    AtLeast0 = restricted_number_type("AtLeast0", float, [(">=", 0), ("<", float("inf"))])
    FactorFrom1 = restricted_number_type("FactorFrom1", float, [(">=", 1), ("<", float("inf"))])
    ShareAbove0 = restricted_number_type("ShareAbove0", float, [(">", 0), ("<=", 1)])
    ShareBelow1 = restricted_number_type("ShareBelow1", float, [(">=", 0), ("<", 1)])


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
    parsed = _parsed(settings_class, given, where)[1]
    return {name: parsed[name] for name in given}


def made_of(dataclass: type[T], given: Any, where: str) -> T:
    """Return an instance of a dataclass from plain values, as a YAML file gives them, dataclasses in it included.

    A key without a value is as good as none.

    Raises
    ------
    UserError
        As :func:`values_of`; and what is no mapping, or lacks a value that has no default.
    """
    if not isinstance(given, Mapping):
        raise UserError(
            f"{where}: expected a mapping with the keys {', '.join(signature(dataclass).parameters)}, got {given!r}"
        )
    parser, parsed = _parsed(dataclass, {name: value for name, value in given.items() if value is not None}, where, "")
    return dataclass(**parser.instantiate(parsed).as_dict())


@lru_cache(maxsize=32)
def _parser(dataclass: Any) -> tuple[Any, list[str]]:
    """Return the parser of a class, and the names of its fields."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(dataclass, as_group=False)
    return parser, [action.dest for action in parser._actions if not action.dest.endswith("help")]


def _parsed(dataclass: type, given: Mapping[str, Any], where: str, sign: str = "--") -> tuple[Any, Any]:
    parser, known = _parser(dataclass)
    for name in given:
        if name not in known:
            raise unknown(f"{where}: unknown key", str(name), known)
    try:
        return parser, parser.parse_object(dict(given))
    except argparse.ArgumentError as error:
        raise UserError(f"{where}: {tidy(str(error), parser).replace('--', sign, 1)}") from None


class Checked:
    """A dataclass whose values fit the types of its fields however it is made: by flags, from a file or in Python.

    Restricted numbers, words of a Literal, and finite numbers are looked at, in optional fields too; anything else, and
    all where annotations are texts (``from __future__ import annotations``), is left to whoever reads it.

    Attributes
    ----------
    where : str
        What an error begins with, the name of the field after it: ``--`` for flags.
    """

    where: ClassVar[str] = "--"

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            got = getattr(self, field.name)
            kinds = get_args(field.type) if get_origin(field.type) in (Union, UnionType) else (field.type,)
            if not (got is None and type(None) in kinds):
                try:
                    object.__setattr__(self, field.name, _held(got, kinds[0]))
                except ValueError:
                    expected = f"{self.where}{field.name}: expected {in_words(field.type)}"
                    raise UserError(f"{expected}, got {got!r}") from None


def _held(got: Any, kind: Any) -> Any:
    """Return a value that fits a type, a restricted number as a plain one; a ValueError where it does not fit."""
    if get_origin(kind) is Literal:
        fits = got in get_args(kind)
    elif isinstance(kind, type) and issubclass(kind, (int, float)) and kind not in (bool, int):
        fits = type(got) is not bool and isinstance(got, Real) and math.isfinite(got)
        if fits and kind is not float:
            return next(base for base in (int, float) if issubclass(kind, base))(kind(got))
    else:
        return got
    if not fits:
        raise ValueError
    return got


def require(good: bool, name: str, got: object, expected: str) -> None:
    """Refuse the value of a flag that is not good."""
    if not good:
        raise UserError(f"--{name}: got {got}, expected {expected}")


def check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a keyword that is no setting, with the nearest one that is."""
    names = list(known)
    for name in given:
        if name not in names:
            raise unknown(f"{what} has no setting", name, names, "it has")


_WRONG = re.compile(
    r'Parser key "([^"]+)".*(?:(?:Given|Got) value: (.*)$|\w: (\S+) does not conform|(?:to float|base 10): \'(.*)\'$)'
)
"""How the library tells of a wrong value: its key, and the value in one of three places."""


def tidy(message: str, parser: ArgumentParser) -> str:
    """Return the library's message in one line; of a value of the wrong kind, what was expected in plain words."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    text = "; ".join(line.rstrip(":") if line.endswith(":") else line for line in lines)
    wrong = _WRONG.search(text)
    if len(within := re.findall(r'Parser key "([^"]+)"', text)) > 1:
        return f"--{'.'.join(within)}: {re.split('Parser key [^;]+; ', text)[-1]}"
    hints = {action.dest: getattr(action, "_typehint", action.type) for action in parser._actions}
    if wrong and wrong[1] in hints:
        got = next(value for value in wrong.groups()[1:] if value is not None)
        return f"--{wrong[1]}: expected {in_words(hints[wrong[1]])}, got {got!r}"
    if unknown := re.search(r"Option '([^']+)' is not accepted", text):
        return f"unknown key {unknown[1]!r}{did_you_mean(unknown[1], list(hints))}"
    if text.startswith("Unexpected config"):
        return "a file of flags should hold a mapping, one line 'name: value' for each flag"
    text = re.sub(r"^the following arguments are required: ", "lacks ", text)
    text = re.sub(r"^Problems parsing config: ", "the file of flags is not YAML: ", text)
    text = re.sub(r'Parser key "([^"]+)"[;:]', r"--\1:", text)
    return re.sub(r"Not of type \w+: ", "", text)


def in_words(hint: Any) -> str:
    """Return what a type takes on the command line.

    Examples
    --------
    >>> in_words(int | None), in_words(Literal["a", "b"])
    ('a whole number', 'a or b')
    """
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(in_words(part) for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        return f"a list of {in_words(get_args(hint)[0])} each"
    return _KINDS.get(get_origin(hint) or hint, getattr(hint, "__name__", str(hint)))


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    Above0: "a number above 0",
    AtLeast0: "a number of at least 0",
    AtLeast1: "a whole number of at least 1",
    Whole: "a whole number of at least 0",
    FactorFrom1: "a number of at least 1",
    Share: "a share from 0 to 1",
    ShareAbove0: "a share above 0, at most 1",
    ShareBelow1: "a share from 0 to below 1",
    ShareBetween: "a share between 0 and 1",
    bool: "true or false",
    str: "text",
    Path: "a path",
    dict: "a mapping such as {name: value}",
    FloatList: "numbers with commas between",
    IntList: "whole numbers with commas between",
    StrList: "names with commas between",
}
