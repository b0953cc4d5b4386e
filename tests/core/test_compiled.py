"""Kernels: they do what their source says, know of changes to it, and need no compiler before they are called."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dacr
from dacr.core.compiled import Kernel, kernel
from dacr.core.rng import generator
from dacr.replay.budgets import shadow_price
from dacr.routers.dacr import knowledge_gradient, thompson


def kernels() -> list[Kernel]:
    """Every kernel of the package."""
    found = []
    for module in pkgutil.walk_packages(dacr.__path__, "dacr."):
        source = Path(module.module_finder.find_spec(module.name, None).origin)  # type: ignore[union-attr, arg-type]
        if "@kernel" in source.read_text(encoding="utf-8"):
            found += [value for value in vars(importlib.import_module(module.name)).values() if type(value) is Kernel]
    return found


def test_a_kernel_calls_kernels_of_its_own_file_alone() -> None:
    """The compiler's cache looks at one file: a change in another would not be noticed."""
    every = kernels()
    assert len(every) >= 8
    for one in every:
        called = [one.__wrapped__.__globals__.get(name) for name in one.__wrapped__.__code__.co_names]
        assert all(other.__module__ == one.__module__ for other in called if isinstance(other, Kernel)), one.__name__


def test_compiled_and_plain_are_the_same() -> None:
    rng = generator("kernels")
    value, p, sd, damping = rng.uniform(0.1, 0.9, (4, 6, 5))
    value[0, 2] = -np.inf
    left, rated = rng.uniform(0, 500, 6), rng.uniform(0.1, 1, 6)
    a, b = np.zeros((2, 6, 5))
    knowledge_gradient._worth(value, p, sd, damping, left, rated, a)
    knowledge_gradient._worth.__wrapped__(value, p, sd, damping, left, rated, b)
    np.testing.assert_allclose(a, b, rtol=1e-13)
    given = value, sd, damping, rng.normal(size=(6, 8)), 0.1, rng.uniform(size=6)
    for one, other in zip(thompson.sample(*given), thompson.sample.__wrapped__(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    window, cost = rng.uniform(size=(2, 3, 9, 5))
    found, again = np.zeros((2, 3))
    asked = 7, np.full(3, 0.4), np.array([True, False, True])
    shadow_price._solve(window, cost, *asked, found)
    shadow_price._solve.__wrapped__(window, cost, *asked, again)
    np.testing.assert_allclose(found, again, rtol=1e-13)
    assert found[1] == 0.0


def test_an_edited_kernel_is_compiled_again(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    command = [sys.executable, "-c", "import numpy as np; from mine import twice; print(twice(np.ones(2))[0])"]
    place = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    for factor in ("2.0", "33.0"):
        source.write_text(f"from dacr.core.compiled import kernel\n@kernel\ndef twice(x):\n    return {factor} * x\n")
        for _ in range(2):
            done = subprocess.run(command, env=place, capture_output=True, text=True, check=True)
            assert float(done.stdout) == float(factor)


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only checkout of a user without a home: numba finds no place for its cache, and says so."""
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])

    @kernel
    def double(x: float) -> float:
        return 2 * x

    assert double(4.0) == 8.0


def test_a_kernel_keeps_its_name_and_its_words() -> None:
    @kernel
    def add_one(x: float) -> float:
        """Add one."""
        return x + 1

    assert (add_one.__name__, add_one.__doc__) == ("add_one", "Add one.")
    assert add_one(1.0) == 2.0
