"""Where a sweep's table may lie, and that every worker sees the same one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data.prepare import prepare_routerbench
from dacr.experiment.sweep.source import local_copy, make_sample

Sweep = Callable[..., int]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(small_long: Path) -> Iterator[str]:
    """Address of the folder of the table on this machine."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(small_long.parent)))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_file_is_read_where_it_lies(small_long: Path) -> None:
    assert local_copy(str(small_long)) == small_long
    assert local_copy(f"file://{small_long}", files.sha256(small_long)) == small_long
    with pytest.raises(UserError, match="has changed since the sweep began"):
        local_copy(str(small_long), "0" * 64)


def test_a_url_is_fetched_once(small_long: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://long.parquet", "wb") as file:
        file.write(small_long.read_bytes())
    copy = local_copy("memory://long.parquet", folder=tmp_path)
    assert copy.read_bytes() == small_long.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [f"{files.sha256(small_long)}.parquet"]
    fsspec.filesystem("memory").rm("long.parquet")
    assert local_copy("memory://long.parquet", files.sha256(small_long), tmp_path) == copy
    with pytest.raises(UserError, match=r"memory://long\.parquet can't be read: FileNotFoundError"):
        local_copy("memory://long.parquet", folder=tmp_path)
    with pytest.raises(UserError, match="nosuch://x can't be read"):
        local_copy("nosuch://x", folder=tmp_path)


def test_a_sweep_over_a_url_gives_the_parts_of_the_file(
    content: dict[str, Any],
    sweep: Sweep,
    small_long: Path,
    cells_in: Callable[[Path], dict[str, dict[str, bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with fsspec.open("memory://swept.parquet", "wb") as file:
        file.write(small_long.read_bytes())
    assert sweep(content) == 0
    for number, url in enumerate(("memory://swept.parquet", f"file://{small_long}")):
        assert sweep(content, results_dir=tmp_path / str(number), data=url) == 0
        assert cells_in(tmp_path / str(number)) == cells_in(tmp_path / "results")


def test_a_sweep_over_http_gives_the_parts_of_the_file(
    content: dict[str, Any],
    sweep: Sweep,
    server: str,
    cells_in: Callable[[Path], dict[str, dict[str, bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("aiohttp", reason="pip install -r requirements-engines.txt")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert sweep(content) == 0
    assert sweep(content, results_dir=tmp_path / "http", data=f"{server}/long.parquet") == 0
    assert cells_in(tmp_path / "http") == cells_in(tmp_path / "results")
    with pytest.raises(UserError, match=r"none\.parquet can't be read"):
        sweep(content, results_dir=tmp_path / "none", data=f"{server}/none.parquet")


def test_a_sample_is_the_same_bytes_wherever_it_is_made(tmp_path: Path) -> None:
    made = [Path(make_sample("sample:500", tmp_path / name)) for name in ("a", "b")]
    assert made[0].read_bytes() == made[1].read_bytes()
    stamp = made[0].stat().st_mtime_ns
    assert make_sample("sample:500", tmp_path / "a") == str(made[0])
    assert made[0].stat().st_mtime_ns == stamp
    made[0].write_bytes(made[0].read_bytes()[:-9])
    make_sample("sample:500", tmp_path / "a")
    assert made[0].read_bytes() == made[1].read_bytes()


def test_a_matrix_store_is_known_by_its_manifest(
    content: dict[str, Any], sweep: Sweep, small_long: Path, tmp_path: Path
) -> None:
    prepare_routerbench(sample=500, out=str(tmp_path / "long.store"))
    assert sweep(content) == 0
    assert sweep(content, results_dir=tmp_path / "store", data=str(tmp_path / "long.store")) == 0
    same = [(tmp_path / name / "metrics.csv").read_bytes() for name in ("results", "store")]
    assert same[0] == same[1]
