"""The one exception that means "the user can mend this"."""

from collections.abc import Iterable


class UserError(Exception):
    """Bad input, said in one line: what was got, what was expected, what to type next.

    The command line prints it on stderr without a traceback and exits with code 2. Line breaks are
    folded, so that a message is one line whatever it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def unknown(what: str, name: str, known: Iterable[str], listed: str = "known:") -> UserError:
    """Return the error about a name that is none of those known, with the nearest one and with all of them."""
    names = list(known)
    return UserError(f"{what} {name!r}{did_you_mean(name, names) or ';'} {listed} {', '.join(names)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean ...?"`` where some known name is near, else nothing."""
    import difflib  # here: nothing else at the start needs it

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
