"""The cache: by content, through corruption and concurrent writers."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.cache import Cache, content_hash
from dacr.core.errors import UserError


class Work:
    """Counts how often it was done."""

    def __init__(self, value: float = 1.0) -> None:
        self.value, self.times = value, 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.times += 1
        return {"a": np.full((2, 3), self.value), "b": np.arange(4)}


def test_work_is_done_once_for_equal_content(tmp_path: Path) -> None:
    cache, work = Cache(tmp_path), Work()
    first = cache.get("w-1", {"x": np.arange(3.0), "n": 1}, work)
    again = Cache(tmp_path).get("w-1", {"n": 1, "x": np.arange(3.0)}, work)
    assert work.times == 1
    assert (first["a"] == again["a"]).all() and first["a"].dtype == again["a"].dtype


@pytest.mark.parametrize(
    "parts",
    [
        {"x": np.arange(3.0), "n": 2},
        {"x": np.arange(3.0), "m": 1},
        {"x": np.arange(3), "n": 1},
        {"x": np.arange(3.0)[:, None], "n": 1},
        {"x": np.array([0.0, 1.0, 2.0 + 1e-15]), "n": 1},
    ],
)
def test_other_content_is_other_work(tmp_path: Path, parts: dict) -> None:
    cache, work = Cache(tmp_path), Work()
    cache.get("w-1", {"x": np.arange(3.0), "n": 1}, work)
    cache.get("w-1", parts, work)
    cache.get("w-2", {"x": np.arange(3.0), "n": 1}, work)
    assert work.times == 3


values = st.one_of(
    st.lists(st.text(max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(-3, 3), max_size=4).map(lambda v: np.array(v, dtype=np.int64)),
    st.integers(),
    st.text(max_size=4),
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=2), values, max_size=3), values)
@settings(deadline=None, max_examples=200)
def test_the_hash_tells_contents_apart(parts: dict, other: object) -> None:
    def same(a: object, b: object) -> bool:
        return type(a) is type(b) and np.array_equal(a, b)  # type: ignore[arg-type]

    assert content_hash(parts) == content_hash(dict(reversed(parts.items())))
    for name, value in parts.items():
        changed = {**parts, name: other}
        assert (content_hash(changed) == content_hash(parts)) == same(value, other)


def test_texts_that_join_to_the_same_are_not_the_same() -> None:
    assert content_hash({"x": ["a", "b"]}) != content_hash({"x": ["a\x1fb"]})
    assert content_hash({"x": ["a", "b"]}) != content_hash({"x": ["ab"]})


def test_slices_of_one_arrow_array_are_told_apart() -> None:
    array = pa.array(["a", "b", "c"])
    assert content_hash({"x": array.slice(0, 2)}) != content_hash({"x": array.slice(1, 2)})
    assert content_hash({"x": array}) == content_hash({"x": pa.array(["a", "b", "c"])})


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 - 40 : len(data) // 2 + 40] = b"\xff" * 80
    path.write_bytes(data)


@pytest.mark.parametrize(
    "corrupt",
    [_truncate, _flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"PK\x03\x04 nonsense")],
    ids=["truncated", "flipped bytes", "empty", "garbage"],
)
def test_a_corrupted_file_is_computed_again_and_mended(tmp_path: Path, corrupt) -> None:
    cache, work = Cache(tmp_path), Work()
    cache.get("w", {"n": 1}, work)
    [path] = tmp_path.glob("*.npz")
    corrupt(path)
    np.testing.assert_array_equal(cache.get("w", {"n": 1}, work)["a"], 1.0)
    assert work.times == 2
    cache.get("w", {"n": 1}, work)
    assert work.times == 2


def _write_and_read(folder: str, barrier, results) -> None:
    barrier.wait()
    good = 0
    for i in range(40):
        arrays = Cache(Path(folder)).get("w", {"n": i}, lambda i=i: {"a": np.full(20_000, float(i))})
        good += int((arrays["a"] == i).all() and arrays["a"].shape == (20_000,))
    results.put(good)


def test_two_processes_write_the_same_entries_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_write_and_read, args=(str(tmp_path), barrier, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [40, 40]
    for worker in workers:
        worker.join(60)
    assert len(list(tmp_path.iterdir())) == 40  # and no temporary file


def test_no_folder_means_no_cache_and_a_blocked_one_costs_time_only(tmp_path: Path) -> None:
    work = Work()
    Cache(None).get("w", {}, work)
    Cache(None).get("w", {}, work)
    (tmp_path / "file").write_text("in the way")
    blocked = Cache(tmp_path / "file")
    assert blocked.get("w", {}, work)["a"].shape == (2, 3)
    assert work.times == 3


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    one = Work()
    Cache(tmp_path).get("w", {"n": 0}, one)
    size = next(tmp_path.glob("*.npz")).stat().st_size
    small = Cache(tmp_path, limit_bytes=int(2.5 * size))
    small.get("w", {"n": 1}, Work())
    for age, path in enumerate(sorted(tmp_path.glob("*.npz"), key=lambda p: p.stat().st_mtime)):
        os.utime(path, (1000 + age, 1000 + age))
    small.get("w", {"n": 0}, one)  # used again
    small.get("w", {"n": 2}, Work())
    assert len(list(tmp_path.glob("*.npz"))) == 2
    small.get("w", {"n": 0}, one)
    assert one.times == 1
    second = Work()
    small.get("w", {"n": 1}, second)
    assert second.times == 1


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DACR_CACHE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("DACR_CACHE_GIB", "0.5")
    cache = Cache.from_environment()
    assert cache.folder == tmp_path / "mine" and cache.limit_bytes == 2**29
    assert Cache.from_environment(enabled=False).folder is None
    monkeypatch.setenv("DACR_CACHE_GIB", "lots")
    with pytest.raises(UserError, match="DACR_CACHE_GIB"):
        Cache.from_environment()
