"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """Bad input, said in one line: what was got, what was expected, what to type next.

    The command line prints it on stderr without a traceback and exits with code 2. Line breaks are
    folded, so that a message is one line whatever it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
