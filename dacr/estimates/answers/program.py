"""The program in a response, as a normalised syntax tree."""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from typing import Any

_BLOCKS = (
    re.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL),
    re.compile(r"\[PYTHON\](.*?)(?:\[/PYTHON\]|\Z)", re.DOTALL),
    re.compile(r"^((?:def|class|import|from|@)\b.*)\Z", re.DOTALL | re.MULTILINE),
)


def program_of(text: str) -> str | None:
    r"""Return a digest of the first program in a text, or None where nothing in it defines a function or a class.

    Layout, comments, docstrings, annotations and the names of arguments and local variables do not count.

    Examples
    --------
    >>> one = "Sure:\n```python\ndef f(x):\n    # double it\n    return x * 2\n```"
    >>> program_of(one) == program_of("def f(number): return number*2")
    True
    >>> program_of("I would double it.") is None
    True
    """
    for pattern in _BLOCKS:
        for piece in pattern.findall(text):
            tree = _parsed(piece)
            if tree is not None:
                written: list[str] = []
                _write(tree, {}, written)
                return hashlib.sha256(" ".join(written).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return None


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is still Python
            tree = ast.parse(code.strip().replace("\r\n", "\n"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    tree.body = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return tree if tree.body else None


_LEFT_OUT = {
    ast.FunctionDef: ("returns", "type_comment"),
    ast.arg: ("annotation", "type_comment"),
    ast.Name: ("ctx",),
    ast.Attribute: ("ctx",),
    ast.Subscript: ("ctx",),
    ast.Starred: ("ctx",),
    ast.List: ("ctx",),
    ast.Tuple: ("ctx",),
}
"""Fields that say nothing of what a program does, or what their place says already."""


def _write(node: Any, names: dict[str, str], out: list[str]) -> None:
    """Write a tree, each node before its fields; names that a function binds are numbered as they appear."""
    kind = type(node)
    if kind is list:
        out.append(f"[{len(node)}")
        for one in node:
            _write(one, names, out)
        return
    if not isinstance(node, ast.AST):
        out.append(repr(node))
        return
    if isinstance(node, ast.Name):
        if type(node.ctx) is ast.Store:
            names.setdefault(node.id, f"_{len(names)}")
        out.append(f"Name {names.get(node.id, node.id)}")
        return
    out.append(kind.__name__)
    if isinstance(node, ast.FunctionDef):
        _bind(node, names)
    skipped = _LEFT_OUT.get(kind, ())
    for name in node._fields:
        if name not in skipped:
            _write(getattr(node, name, None), names, out)


def _bind(node: ast.FunctionDef, names: dict[str, str]) -> None:
    """Number the arguments of a function, and take off its docstring."""
    if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
        node.body = node.body[1:] or [ast.Pass()]
    for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        one.arg = names.setdefault(one.arg, f"_{len(names)}")
