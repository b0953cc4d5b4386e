"""Standard streams that every stage can write to, whatever they are connected to."""

from __future__ import annotations

import io
import os
import sys


def make_usable() -> None:
    """Open what is closed; where a terminal can't show a letter, write its escape."""
    open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def open_what_is_closed() -> None:
    """Send a standard stream that was closed (``2>&-``, a service without one) nowhere, so that it can be written to.

    The descriptors are taken too: a file that is opened later under the number 2 would get what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - open as long as the process
