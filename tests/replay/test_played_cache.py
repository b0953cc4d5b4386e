"""Replays that are kept: read back exactly, and never taken for one with other inputs or other code."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dacr.core import cache as module
from dacr.core.cache import Cache, code_version
from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.table import load
from dacr.experiment.settings import ExperimentSettings
from dacr.replay import kept
from dacr.replay.entry import Entry
from dacr.replay.kept import Kept
from dacr.replay.play import enter
from dacr.replay.setup import Setup, set_up
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Played


def setup_of(data: Path, **flags: Any) -> Setup:
    settings = ExperimentSettings(
        data=data,
        ood_holdout=StrList(["grade-school-math"]),
        lambdas=FloatList([5.0, 50.0]),
        seeds=IntList([1]),
        orders=2,
        **flags,
    )
    return set_up(settings, load(data), Cache(None), max_queries=60)[1]


@pytest.fixture(scope="module")
def setup(sample_long: Path) -> Setup:
    return setup_of(sample_long, budget_cost=FloatList([0.001]))


@pytest.fixture(scope="module")
def entry(setup: Setup) -> Entry:
    return enter("dacr", setup)


def same(a: list[Played], b: list[Played]) -> bool:
    def equal(x: Any, y: Any) -> bool:
        if x is None or y is None:
            return x is y
        return x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")

    names = [field.name for field in dataclasses.fields(Played)]
    return len(a) == len(b) and all(
        equal(getattr(x, name), getattr(y, name)) for x, y in zip(a, b, strict=True) for name in names
    )


def any_kept(folder: Path) -> bool:
    return any(folder.glob("played-*"))


@pytest.mark.parametrize("name", ["dacr", "linucb", "dacr_full"])
def test_what_was_played_is_read_back_exactly(name: str, setup: Setup, tmp_path: Path) -> None:
    entry, cache = enter(name, setup), Cache(tmp_path)
    kept = Kept.of(entry, setup.world, cache)
    assert kept.name is not None and not any_kept(tmp_path)
    assert kept.recall(entry, setup.world) is None
    played = kept.play(entry, setup.world)
    assert any_kept(tmp_path)
    again = Kept.of(enter(name, setup), setup.world, Cache(tmp_path)).recall(entry, setup.world)
    assert again is not None and same(again, played)
    assert again[-1].price_cost is not None  # the last point is under a budget


def test_a_replay_that_is_kept_is_not_played_again(
    setup: Setup, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now(work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        return lambda: work(*args)

    cache = Cache(tmp_path)
    first = Kept.of(entry, setup.world, cache).start(entry, setup.world, now)()

    def play(*_: object) -> list[Played]:
        raise AssertionError("played again")

    monkeypatch.setattr(kept, "play", play)
    assert same(Kept.of(entry, setup.world, cache).start(entry, setup.world, now)(), first)
    other = dataclasses.replace(setup.world, tau_s=9.0)
    with pytest.raises(AssertionError, match="played again"):
        Kept.of(entry, other, cache).start(entry, other, now)()


def nudged(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield copies of ``value`` that differ in one leaf each, by as little as possible, with the leaf's path."""
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        for name, held in vars(value).items():
            for path, other in nudged(held):
                changed = copy.copy(value)
                changed.__dict__[name] = other
                yield f".{name}{path}", changed
    elif isinstance(value, tuple) and value and not isinstance(value[0], str | int | float):
        for k in range(len(value)):
            for path, other in nudged(value[k]):
                yield f"[{k}]{path}", (*value[:k], other, *value[k + 1 :])
    else:
        yield "", _other(value)


def _other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        changed = value.copy()
        last = (-1,) * value.ndim
        changed[last] = _other(value[last])
        return changed
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, float | np.floating):
        return np.nextafter(value, type(value)(0.5)) if np.isfinite(value) and value != 0.5 else type(value)(0.25)
    if isinstance(value, int | np.integer):
        return value + type(value)(1)
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value[:-1], _other(value[-1]))
    assert value is None, type(value)
    return 1


def test_every_input_is_in_the_key(setup: Setup, entry: Entry, tmp_path: Path) -> None:
    cache, world = Cache(tmp_path), setup.world
    seen = {Kept.of(entry, world, cache).name: "the original"}
    # What plans do is no input of a router that knows the models alone.
    changes = [(f"world{path}", entry, other) for path, other in nudged(world) if path not in (".arms", ".cost_share")]
    changes += [(f"entry{path}", other, world) for path, other in nudged(entry)]
    for path, one, where in changes:
        name = Kept.of(one, where, cache).name
        assert name not in seen, f"{path} has the key of {seen[name]}"
        seen[name] = path
    paths = set(seen.values())
    expected = {
        "world.plan.delay", "world.plan.p_miss", "world.plan.delay_s", "world.plan.miss_depends_on", "world.tau_s",
        "world.horizon", "world.eta", "world.truth.quality", "world.truth.cost_usd", "world.truth.latency_s",
        "world.truth.late", "world.learning.order", "world.learning.arrival_s", "world.learning.seed",
        "world.replicas", "world.effects", "entry.name", "entry.requests.p_raw", "entry.requests.features",
        "entry.requests.domain", "entry.requests.key", "entry.requests.cost_upper", "entry.points[0].label",
        "entry.points[2].budget_cost", "entry.points[0].router.temper", "entry.points[0].router.logits_.slope",
        "entry.points[1].router.lambda_cost", "entry.points[0].router.n_draw", "entry.points[0].router.prior_v_",
    }  # fmt: skip
    assert expected <= paths, expected - paths


@pytest.mark.parametrize(
    "flags", [{"dacr_delay": 3}, {"dacr_p_miss": 0.2}, {"dacr_mu_lr": 0.1}, {"protocol": "drift"}, {"replicas": "2"}]
)
def test_settings_of_the_replay_reach_the_key(flags: dict, sample_long: Path, tmp_path: Path) -> None:
    names = set()
    for one in (setup_of(sample_long), setup_of(sample_long, **flags)):
        names.add(Kept.of(enter("dacr", one), one.world, Cache(tmp_path)).name)
    assert len(names) == 2


def test_where_results_go_is_not_in_the_key(sample_long: Path, tmp_path: Path) -> None:
    names = set()
    for one in (setup_of(sample_long), setup_of(sample_long, results_dir=tmp_path / "elsewhere", n_jobs=1)):
        names.add(Kept.of(enter("dacr", one), one.world, Cache(tmp_path)).name)
    assert len(names) == 1


def test_any_change_of_the_sources_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    one, two = tmp_path / "one.py", tmp_path / "sub" / "two.py"
    one.write_text("a = 1\n")
    two.write_text("b = 2\n")
    versions = [code_version(tmp_path)]
    one.write_text("a = 2\n")
    versions.append(code_version(tmp_path))
    one.write_text("a = 2\nb")
    two.write_text(" = 2\n")
    versions.append(code_version(tmp_path))
    two.rename(tmp_path / "two.py")
    versions.append(code_version(tmp_path))
    (tmp_path / "three.py").write_text("")
    versions.append(code_version(tmp_path))
    assert len(set(versions)) == len(versions)
    assert code_version() == code_version() and len(code_version()) == 32


def test_results_made_while_sources_change_are_not_kept(
    setup: Setup, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    kept = Kept.of(entry, setup.world, cache)
    with monkeypatch.context() as patch:
        patch.setattr(module, "code_version", lambda **_: "edited while this process ran")
        patch.setitem(sys.modules, "imported.since", ModuleType("imported.since"))
        assert len(kept.play(entry, setup.world)) == len(entry.points)
    assert not any_kept(tmp_path)


def test_other_libraries_are_another_key(
    setup: Setup, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept.of(entry, setup.world, Cache(tmp_path))
    monkeypatch.setattr(module, "numerics", lambda: "numpy 0.0")
    assert Kept.of(entry, setup.world, Cache(tmp_path)).name != kept.name


def test_code_from_outside_and_large_results_are_not_kept(setup: Setup, entry: Entry, tmp_path: Path) -> None:
    class Mine(DacrRouter):
        """Its source is not the package's."""

    foreign = copy.copy(entry.points[0].router)
    foreign.__class__ = Mine
    points = (dataclasses.replace(entry.points[0], router=foreign),)
    cache = Cache(tmp_path)
    kept = Kept.of(dataclasses.replace(entry, points=points), setup.world, cache)
    assert kept.name is None and kept.recall(entry, setup.world) is None
    assert Kept.of(entry, setup.world, Cache(None)).name is None
    small = Cache(tmp_path, limit_bytes=4096)
    Kept.of(entry, setup.world, small).play(entry, setup.world)
    assert not any_kept(tmp_path)


def test_a_damaged_entry_is_played_again(setup: Setup, entry: Entry, tmp_path: Path) -> None:
    cache, world = Cache(tmp_path), setup.world
    played = Kept.of(entry, world, cache).play(entry, world)
    [path] = tmp_path.glob("played-*.npz")
    path.write_bytes(path.read_bytes()[:-500])
    assert Kept.of(entry, world, cache).recall(entry, world) is None
    again = Kept.of(entry, world, cache).start(entry, world, lambda work, *args: lambda: work(*args))()
    assert same(again, played)
    found = Kept.of(entry, world, cache).recall(entry, world)
    assert found is not None and same(found, played)


def test_beliefs_of_every_model_come_back_too(setup: Setup, entry: Entry, tmp_path: Path) -> None:
    cache, world = Cache(tmp_path), dataclasses.replace(setup.world, record_beliefs=True)
    kept = Kept.of(entry, world, cache)
    assert kept.name != Kept.of(entry, setup.world, cache).name
    played = kept.play(entry, world)
    recorded = [one.p_before is not None for one in played]
    assert any(recorded) and not all(recorded)
    again = kept.recall(entry, world)
    assert again is not None and same(again, played)
