"""The program in a response, as a normalised syntax tree."""

from __future__ import annotations

import ast
import hashlib
import re
import warnings

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
                return hashlib.sha256(ast.dump(_Normal().visit(tree)).encode()).hexdigest()[:16]
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


class _Normal(ast.NodeTransformer):
    """Names what a function binds by order of appearance, and drops what does not run."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        node.returns = None
        for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            one.annotation = None
            one.arg = self._names.setdefault(one.arg, f"_{len(self._names)}")
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Store):
            self._names.setdefault(node.id, f"_{len(self._names)}")
        node.id = self._names.get(node.id, node.id)
        return node
