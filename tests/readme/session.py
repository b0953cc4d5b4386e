"""A page of the documents as a session: its commands and its lines of Python, one after the other, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.S | re.M)
COMMAND = r"(?:python3?\s|dacr\s|make\s|pip\s\w+\s|scripts/\w+\.py\s--)"
INLINE = re.compile(rf"(?<!`)`((?!dacr\s[\w-]+`){COMMAND}[^`]+)`(?!`)")
"""Of prose; ``dacr NAME`` alone names a stage."""
LOOKS_LIKE_ONE = re.compile(
    rf"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:{COMMAND}|(?:ba)?sh |curl |dask |ray |source |\. )", re.M
)
RUNS_ON = re.compile(r"^(.*--serve\b.*|.*\bdask (?:scheduler|worker)\b[^#\n]*)", re.M)
"""Commands that go on until they are stopped."""
READ = ("test", "test-all", "coverage", "test-matrix", "lint", "docs")
"""Targets of make that run tests, or what tests of their own run: their recipe is read (make -n), not run."""
TOP_LEVEL_AWAIT = """
import ast, asyncio, inspect, sys
names = {}
for path in sys.argv[1:]:
    code = compile(open(path, encoding="utf-8").read(), path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        loop = names.setdefault("_loop", asyncio.new_event_loop())
        loop.run_until_complete(result)
"""


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [code for found, code in FENCE.findall(text) if found == language]


def commands(text: str) -> list[str]:
    """Return a page's blocks of shell commands and the commands within its prose, in the order of the page."""
    found = []
    for match in re.finditer(rf"{FENCE.pattern}|{INLINE.pattern}", text, re.S | re.M):
        language, block, inline = match.groups()
        if language == "sh":
            found.append(block)
        elif inline:
            found.append(re.sub(r"\s+", " ", re.sub("^scripts/", "python scripts/", inline)) + "\n")
    return found


def never_run(text: str) -> list[str]:
    """Return what looks like a command, and stands where :func:`commands` does not look."""
    left = [f"```{name}" for name, _ in FENCE.findall(text) if name not in ("", "sh", "python", "text", "yaml")]
    left += [code for name, code in FENCE.findall(text) if name in ("", "text") and LOOKS_LIKE_ONE.search(code)]
    prose = FENCE.sub("", text)
    return left + [line for line in re.findall(r"^(?: {4}|\t).*$", prose, re.M) if LOOKS_LIKE_ONE.search(line)]


class Lacking(Exception):
    """The machine has not what a command needs."""


class Session:
    """A shell in a folder that looks like a checkout; its environment and its place outlive a block."""

    def __init__(self, folder: Path, env: Mapping[str, str], begins_in: str) -> None:
        self.folder, self._left = folder, folder / ".session"
        self._left.mkdir()
        self._groups: list[int] = []
        for name in ("scripts", "configs", "tests", "Makefile", "pyproject.toml", "setup.py", "MANIFEST.in"):
            (folder / name).symlink_to(ROOT / name)
        for path in [*ROOT.glob("requirements*.txt"), *ROOT.glob("*.md"), ROOT / "LICENSE"]:
            shutil.copy(path, folder)
        shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__"))
        # An environment of its own, so that nothing is installed into the one that runs the tests.
        venv.create(self._left / "venv", symlinks=True)
        tools = self._left / "venv" / "bin"
        for name, module in {"pip": "pip", "dacr": "dacr"}.items():
            (tools / name).write_text(f'#!/bin/sh\nexec "{tools}/python" -m {module} "$@"\n')
            (tools / name).chmod(0o755)
        make = f'case "$1" in {"|".join(READ)}) set -- -n "$@";; esac\nexec {shutil.which("make")} "$@"\n'
        (tools / "make").write_text(f"#!/bin/sh\n{make}")
        (tools / "make").chmod(0o755)
        for stamp in (".run", ".dev", ".docs"):
            (tools.parent / stamp).touch()
        given = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
        where = [ROOT / "tests" / "readme" / "smaller", ROOT, *given, sysconfig.get_paths()["purelib"]]
        self._env = {
            **{key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")},
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(map(str, where)),
            "VENV": str(tools.parent),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_QUIET": "1",
            "DEMO_QUERIES": "600",
            **env,
        }
        (self._left / "state").write_text(f"cd {folder / begins_in}\n")

    def run(self, code: str) -> str:
        """Run a block; return what it printed.

        Raises
        ------
        Lacking
            It failed for want of a package or a program.
        """
        for line in RUNS_ON.findall(code):
            program = next(word for word in line.split() if "=" not in word)
            if shutil.which(program, path=self._env["PATH"]) is None:
                raise Lacking(f"no program {program}")
        goes_on = RUNS_ON.sub(rf"{{ \1 || echo a server >> {self._left}/ended; }} &", code)
        script = (
            f"set -euo pipefail\n. {self._left}/state\n{goes_on}\n{{ export -p; echo cd $PWD; }} > {self._left}/state\n"
        )
        with (self._left / "said").open("w+") as said:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=self.folder, env=self._env, stdout=said, stderr=said, text=True,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self._groups.append(shell.pid)
            code_of_exit = shell.wait(timeout=1200)
            for _ in range(600):  # a server says when it serves
                said.seek(0)
                text = said.read()
                if "--serve" not in code or "serving http" in text or (self._left / "ended").exists():
                    break
                time.sleep(0.2)
        if code_of_exit:
            if reason := lacking(text):
                raise Lacking(reason)
            raise AssertionError(f"{code}\nended with {code_of_exit}:\n{text[-3000:]}")
        return text

    def python(self, codes: list[str]) -> str:
        """Run blocks of Python in one process, in which ``await`` may stand anywhere."""
        (self._left / "lines_of_the_page.py").write_text(TOP_LEVEL_AWAIT, encoding="utf-8")
        for number, code in enumerate(codes):
            (self._left / f"{number}.py").write_text(code, encoding="utf-8")
        paths = " ".join(f"{self._left}/{number}.py" for number in range(len(codes)))
        return self.run(f"python {self._left}/lines_of_the_page.py {paths}")

    def close(self) -> None:
        """End what still runs.

        Raises
        ------
        AssertionError
            Something that should have gone on has ended.
        """
        ended = self._left / "ended"
        gone = ended.read_text() if ended.exists() else ""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                continue
        assert not gone, f"ended by itself: {gone}"


def lacking(text: str) -> str | None:
    """Return what a failed command lacked, if that is not here indeed."""
    for extra in re.findall(r"requirements-(\w+)\.txt|\.\[(\w+)\]", text):
        name = "".join(extra)
        wanted = (ROOT / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
        if absent := [one for one in wanted if re.match(r"\w", one) and not _there(one)]:
            return f"not installed: {', '.join(absent)}"
    built_with = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    if "pyproject.toml" in text and (absent := [one for one in built_with if not _there(one)]):
        return f"not installed: {', '.join(absent)}"
    for name in re.findall(r"No matching distribution found for ([\w.-]+)|No module named '([\w-]+)", text):
        if not _there("".join(name)) and "".join(name) != "dacr":
            return f"not installed: {''.join(name)}"
    for name in re.findall(r"(\w+): command not found", text):
        if shutil.which(name) is None:
            return f"no program {name}"
    return None


def _there(requirement: str) -> bool:
    wanted = Requirement(requirement)
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False
