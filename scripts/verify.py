#!/usr/bin/env python
"""Check this installation and these data against published numbers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dacr import cli
from dacr.verify.stage import verify


def one_list(words: list[str], flag: str = "--pkl") -> list[str]:
    """Let a flag take several files: ``--pkl a b`` means ``--pkl a,b``."""
    out: list[str] = []
    for word in words:
        behind_flag = len(out) >= 2 and out[-2] == flag and not word.startswith("-")
        out = [*out[:-1], f"{out[-1]},{word}"] if behind_flag else [*out, word]
    return out


if __name__ == "__main__":
    sys.exit(cli.run(verify, one_list(sys.argv[1:])))
