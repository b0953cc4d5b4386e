"""Pickles of every pandas release load; pickles that want more don't, and nothing they name runs."""

from __future__ import annotations

import builtins
import importlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.data import pickles

FOLDER = Path(__file__).parent / "pickles"
FILES = sorted(path.name for path in FOLDER.glob("*.pkl"))


class Calls:
    """Pickles as a call of ``function`` with ``args``."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> object:
        return self.call


def _release(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split("_")[1:4]))


def test_fixtures_cover_three_major_releases() -> None:
    assert {name.split("_")[1] for name in FILES} == {"1", "2", "3"}


@pytest.mark.parametrize("name", [name for name in FILES if "arrow" not in name])
def test_every_release_gives_the_same_frame(name: str) -> None:
    try:
        frame = pickles.load(FOLDER / name)
    except UserError as error:
        # No pandas reads all that a later one writes; then that is said.
        assert _release(name) > _release(f"pandas_{pd.__version__.replace('.', '_')}"), error
        assert f"of a pandas newer than {pd.__version__}" in str(error)
        return
    if "_raw_" in name:
        assert frame["performance"].tolist() == [1.0, 1.0, 0.25, 1.0, 0.0, 0.5]
        assert frame["model_response"].tolist()[:2] == ["['3']", "['three']"]
        assert frame["eval_name"].astype(str).tolist()[::2] == ["sums", "colours", "greetings"]
        assert frame["tokens"].tolist() == list(range(6))
        assert frame.index.tolist() == [5, 4, 3, 2, 1, 0]
    else:
        assert frame["sample_id"].tolist() == ["made.0", "made.1", "made.2"]
        assert frame["small"].astype(float).tolist() == [1.0, 0.25, 0.0]
        assert frame["large|total_cost"].astype(float).tolist() == [1e-3, 2e-3, 3e-3]


def test_arrow_and_nullable_columns_load() -> None:
    frame = pickles.load(FOLDER / "pandas_2_2_3_arrow_p4.pkl")
    assert frame["a"].tolist()[:2] == ["x", "y"] and frame["b"].tolist() == ["x", "y", "x"]
    assert frame["c"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_this_pandas_writes_loads(protocol: int, tmp_path: Path, tiny_long: pd.DataFrame) -> None:
    tiny_long["code"] = np.arange(len(tiny_long), dtype=">i4")
    tiny_long.to_pickle(tmp_path / "t.pkl", protocol=protocol)
    pd.testing.assert_frame_equal(pickles.load(tmp_path / "t.pkl"), tiny_long, check_dtype=False)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (os.system, ("touch {mark}",)),
        (builtins.eval, ("open({mark!r}, 'w')",)),
        (builtins.exec, ("open({mark!r}, 'w')",)),
        (builtins.getattr, (os, "system")),
        (builtins.open, ("{mark}", "w")),
        (np.load, ("{mark}",)),
        (np.save, ("{mark}", [1])),
        (pd.read_pickle, ("{mark}",)),
        (importlib.import_module, ("antigravity",)),
        (pd.eval, ("__import__('os')",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_pickle_that_wants_to_execute_is_refused(function: object, args: tuple[object, ...], tmp_path: Path) -> None:
    mark = tmp_path / "executed.npy"
    filled = [arg.format(mark=str(mark)) if isinstance(arg, str) else arg for arg in args]
    if function is builtins.getattr:
        data = b"cbuiltins\ngetattr\n(cos\nsystem\nS'touch'\ntR."
    else:
        data = pickle.dumps(pd.DataFrame({"a": ["x", Calls(function, *filled)]}))
    (tmp_path / "evil.pkl").write_bytes(data)
    with pytest.raises(UserError, match="nothing of it was executed"):
        pickles.load(tmp_path / "evil.pkl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pkl"]


def _short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("pandas", "DataFrame.to_pickle"),  # protocol 4 would walk the dots
        ("pandas", "io.common.os.system"),
        ("numpy", "ndarray.tofile"),
        ("builtins", "object"),
        ("copyreg", "_reconstructor"),
    ],
)
def test_dotted_and_neighbouring_names_are_refused(module: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x04" + _short(module) + _short(name) + b"\x93.")
    with pytest.raises(UserError, match="wants to use"):
        pickles.load(tmp_path / "evil.pkl")


def test_a_class_can_not_be_changed(tmp_path: Path) -> None:
    before = pd.DataFrame.shape
    state = b"(N}" + _short("shape") + b"K\x01s" + b"t"
    evil = b"\x80\x04" + _short("pandas") + _short("DataFrame") + b"\x93" + state + b"b."
    (tmp_path / "evil.pkl").write_bytes(evil)
    with pytest.raises(UserError, match="wants to change a type"):
        pickles.load(tmp_path / "evil.pkl")
    assert pd.DataFrame.shape is before


def test_a_dtype_can_not_pass_bytes_for_pointers(tmp_path: Path) -> None:
    class Forged:
        def __reduce__(self) -> object:
            return np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Forged()))
    with pytest.raises(UserError, match="dtype state"):
        pickles.load(tmp_path / "evil.pkl")


@pytest.mark.parametrize(
    "value",
    [Calls(bytearray, 2**40), Calls(np.dtype, "V1000000000"), Calls(np.dtype, {"names": ["a"], "formats": ["O"]})],
    ids=["huge bytearray", "void", "structured"],
)
def test_bombs_are_refused(value: object, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(UserError, match="can't be read"):
        pickles.load(tmp_path / "evil.pkl")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_pickle_is_a_user_error(share: float, tmp_path: Path) -> None:
    data = (FOLDER / FILES[0]).read_bytes()
    (tmp_path / "cut.pkl").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="download"):
        pickles.load(tmp_path / "cut.pkl")


@pytest.mark.parametrize("name", [name for name in FILES if "_p4" in name])
@pytest.mark.filterwarnings("ignore")  # what numpy says of nonsense on its way to the error
def test_random_damage_never_escapes_as_another_error(name: str, tmp_path: Path) -> None:
    data = bytearray((FOLDER / name).read_bytes())
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(100):
        hurt = data.copy()
        for position in random.integers(0, len(hurt), 3):
            hurt[position] = random.integers(0, 256)
        (tmp_path / "hurt.pkl").write_bytes(hurt)
        try:
            outcomes.add(type(pickles.load(tmp_path / "hurt.pkl")))
        except UserError as error:
            assert "\n" not in str(error)
            outcomes.add(UserError)
    assert outcomes <= {UserError, pd.DataFrame} and UserError in outcomes


def test_other_values_and_large_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "n.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="holds a list, expected a pandas DataFrame"):
        pickles.load(tmp_path / "n.pkl")
    with pytest.raises(UserError, match="above the cap of 3"):
        pickles.load(tmp_path / "n.pkl", max_bytes=3)
    (tmp_path / "p.pkl").write_bytes(b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.")
    with pytest.raises(UserError):
        pickles.load(tmp_path / "p.pkl")
