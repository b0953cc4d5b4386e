"""What code made is served to that code alone: an edited source, or a plugin's new contents, is another result."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dacr
from dacr.core import cache as module
from dacr.core.cache import Cache, is_own
from dacr.core.registry import load_plugin, predictors
from dacr.data.splits import split_queries
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.estimates.predictors.base_rate import BaseRatePredictor
from dacr.metrics.calibration.bins import Groups
from dacr.metrics.calibration.reported import of_predictions

PREDICT = """
import sys
from pathlib import Path
import numpy as np
from dacr.core.cache import Cache
from dacr.data.splits import split_queries
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
table = load(Path(sys.argv[1]))
split = split_queries(list(table.qid), list(table.domain))
x = np.ones((table.n_query, 1), dtype=np.float32)
cache = Cache.from_environment()
one = Estimator(table, split.train, split.test, np.zeros(len(split.test)), 10.0, cache, features=x)
print(one.predictions("base_rate", "test")[0, 0].item(), len(list(cache.folder.iterdir())))
"""

PLUGIN = """
from dacr.estimates.predictors.base import Predictor
from dacr.core.registry import predictors
import numpy as np

@predictors.register("mine")
class Mine(Predictor):
    def fit(self, x, y):
        self.n_model_ = y.shape[1]
        return self

    def predict(self, x):
        return np.full((len(x), self.n_model_), VALUE)
"""


def test_an_edited_predictor_is_asked_again(sample_long: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(Path(dacr.__file__).parent, tmp_path / "code" / "dacr"))

    def predict() -> tuple[float, int]:
        environment = {**os.environ, "PYTHONPATH": str(package.parent), "DACR_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", PREDICT, str(sample_long)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        value, entries = done.stdout.split()
        return float(value), int(entries)

    first = predict()
    assert predict() == first, "the second run reads what the first one kept"
    with open(package / "report" / "words.py", "a", encoding="utf-8") as figures:
        figures.write("# another figure\n")
    assert predict() == first, "what stands above leaves entries as they are"
    source = package / "estimates" / "predictors" / "base_rate.py"
    text = source.read_text()
    edited = text.replace(".mean(axis=0)", ".mean(axis=0) * 0.5")
    assert edited != text
    source.write_text(edited)
    assert predict() == (pytest.approx(first[0] / 2), 2 * first[1])


def test_predictions_of_a_plugin_are_not_kept(
    sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = load(sample_long)
    split = split_queries(list(table.qid), list(table.domain))
    x = np.ones((table.n_query, 1), dtype=np.float32)
    monkeypatch.setattr(predictors, "_parts", dict(predictors.items()))
    for value in ("0.25", "0.75"):  # two files of one name, whose parts have one name and the same parameters
        (tmp_path / value).mkdir()
        plugin = tmp_path / value / "mine.py"
        plugin.write_text(PLUGIN.replace("VALUE", value))
        load_plugin(plugin)
        cache = Cache(tmp_path / "cache")
        one = Estimator(table, split.train, split.test, np.zeros(len(split.test)), 10.0, cache, features=x)
        assert (one.predictions("mine", "test") == float(value)).all()
    assert not (tmp_path / "cache").exists()


def test_code_and_libraries_are_in_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entries() -> int:
        Cache(tmp_path).get("two", {}, lambda: {"two": np.array([2])})
        return len(list(tmp_path.iterdir()))

    assert entries() == entries() == 1
    monkeypatch.setattr(module, "numerics", lambda: "numpy 0.0")
    assert entries() == 2
    for name in ("loaded_code", "code_version"):
        monkeypatch.setattr(module, name, lambda *_, **__: "another")
    assert entries() == 3


def test_no_entry_is_made_by_what_the_key_leaves_out() -> None:
    """Whoever keeps entries stands below the rooms that the key leaves out, and so do all of its imports."""
    package = Path(dacr.__file__).parent
    texts = {path.relative_to(package).parts[0]: "" for path in package.rglob("*.py")}
    for path in package.rglob("*.py"):
        if "from dacr.core.cache import" in (text := path.read_text(encoding="utf-8")):
            texts[path.relative_to(package).parts[0]] += text
    keepers = {room for room, text in texts.items() if re.search(r"cache\b.{,20}\.(get|name)\(", text, re.IGNORECASE)}
    assert {"estimates", "replay"} <= keepers and not keepers & set(module.ABOVE), keepers


def test_calls_are_kept_of_functions_that_the_key_covers(tmp_path: Path) -> None:
    cache, groups = Cache(tmp_path), Groups.of(np.array(["a", "b", "b"]))
    p, q = np.array([[0.2], [0.4], [0.9]]), np.array([[0.0], [1.0], [1.0]])

    def entries(*args: Any, made_by: tuple[Any, ...] = ()) -> int:
        kept = cache.call(of_predictions, *args, made_by=made_by)
        made = of_predictions(*args)
        assert kept.keys() == made.keys() and all(np.array_equal(kept[k], made[k], equal_nan=True) for k in made)
        return len(list(tmp_path.iterdir()))

    assert entries(p, q, groups) == entries(p, q, groups) == 1
    assert entries(p, q, replace(groups, domain=groups.domain[::-1].copy())) == 2, "fields of a dataclass count"
    assert entries(p, np.where(q == 0, 0.25, q), groups) == 3
    assert entries(p * 0.5, q, groups, made_by=(entries,)) == 3, "code of others is in no key"
    above = SimpleNamespace(__module__="dacr.experiment.run", __qualname__="f", __name__="f")
    assert not is_own(above) and is_own(of_predictions)


def test_what_is_made_while_sources_change_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)

    def entries(name: str) -> int:
        assert cache.get(name, {}, lambda: {"a": np.ones(2)})["a"].sum() == 2
        return len(list(tmp_path.iterdir()))

    assert entries("before") == 1
    monkeypatch.setattr(module, "code_version", lambda **_: "edited while this process ran")
    assert entries("no import since") == 2, "what runs is what was loaded"
    monkeypatch.setitem(sys.modules, "imported.now", ModuleType("imported.now"))
    assert entries("may be of the edited code") == 2


def test_parts_of_the_package_are_kept(tmp_path: Path) -> None:
    Cache(tmp_path).get("w", {}, lambda: {"a": np.ones(2)}, made_by=(BaseRatePredictor,))
    assert len(list(tmp_path.iterdir())) == 1


def test_an_experiment_cuts_each_question_once(
    sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dacr.core.cli import StrList
    from dacr.estimates.features import question
    from dacr.experiment.run import run_experiment
    from dacr.experiment.settings import ExperimentSettings

    cut: list[str] = []
    plain = question.question_of
    monkeypatch.setattr(question, "question_of", lambda prompt: cut.append(prompt) or plain(prompt))
    run_experiment(
        ExperimentSettings(
            data=sample_long, results_dir=tmp_path, routers=StrList(["rules", "static"]), n_jobs=1, no_cache=True
        )
    )
    assert len(cut) == 600, "features, near-duplicates and the rules' classes read one list"
