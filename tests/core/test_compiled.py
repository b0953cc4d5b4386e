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


def test_compiled_and_plain_are_the_same() -> None:
    rng = generator("kernels")
    value, p, sd, damping = rng.uniform(0.1, 0.9, (4, 6, 5))
    value[0, 2] = -np.inf
    left, rated = rng.uniform(0, 500, 6), rng.uniform(0.1, 1, 6)
    a, b = np.zeros((2, 6, 5))
    for one, out in ((knowledge_gradient.worth_of_trying, a), (knowledge_gradient.worth_of_trying.__wrapped__, b)):
        one(value, p, sd, damping, left, rated, out)
    np.testing.assert_allclose(a, b, rtol=1e-13)
    assert a.max() > 0
    given = value, sd, damping, rng.normal(size=(6, 8)), 0.1, rng.uniform(size=6)
    models, chances = np.zeros((2, 6), dtype=np.int64), np.zeros((2, 6))
    thompson.sample(*given, models[0], chances[0])
    thompson.sample.__wrapped__(*given, models[1], chances[1])
    np.testing.assert_array_equal(*models)
    np.testing.assert_allclose(*chances, rtol=1e-13)
    window, cost = rng.uniform(size=(2, 3, 5, 9))
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


def test_what_a_kernel_reads_of_other_files_is_compiled_again(tmp_path: Path) -> None:
    """Kernels and plain formulas that it calls, and constants: the compiler's cache looks at its own file alone."""
    (tmp_path / "mine.py").write_text(
        "from dacr.core.compiled import kernel\nfrom other import FACTOR, formula, times\n"
        "@kernel\ndef both(x):\n    return FACTOR * times(x[0]) + formula(x[0])\n"
    )
    command = [sys.executable, "-c", "import numpy as np; from mine import both; print(both(np.ones(2)))"]
    place = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    for factor, times, formula in (("2.0", "3.0 * x", "x"), ("5.0", "3.0 * x", "x"), ("5.0", "7.0 * x", "x + 1.0")):
        (tmp_path / "other.py").write_text(
            f"from dacr.core.compiled import kernel\nFACTOR = {factor}\n@kernel\ndef times(x):\n    return {times}\n"
            f"def formula(x):\n    return {formula}\n"
        )
        for _ in range(2):
            done = subprocess.run(command, env=place, capture_output=True, text=True, check=True)
            x = 1.0
            assert float(done.stdout) == float(factor) * eval(times, {"x": x}) + eval(formula, {"x": x})


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
