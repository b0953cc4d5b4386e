"""A contract is a list of rules; a rule is a function of a part that raises where the part breaks it."""

from collections.abc import Callable, Sequence
from typing import Any

Rule = Callable[[Any], None]


class Broken(AssertionError):
    """A part breaks a rule of its contract; the message says which, and how."""


def require(kept: object, message: str) -> None:
    """Raise :class:`Broken` with this message where the rule is not kept."""
    if not kept:
        raise Broken(message)


def keep(part: Any, rules: Sequence[Rule]) -> None:
    """Hold a part to every rule; the first that it breaks is named with the part."""
    for rule in rules:
        try:
            rule(part)
        except Exception as error:
            name = rule.__name__.replace("_", " ")
            how = error if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            raise Broken(f"{getattr(part, 'name', part)!s} breaks the rule '{name}': {how}") from error


def described(part: Any) -> None:
    """It has a name, and a docstring that says what it is."""
    require(getattr(part, "name", ""), "it is not registered: decorate it with its registry's register(name)")
    require((part.__doc__ or "").strip(), "it has no docstring; --list shows the first line")
