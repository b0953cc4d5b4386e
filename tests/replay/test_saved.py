"""A saved router: every part comes back as it was, and no file does more than fail in one line."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dacr.core.errors import UserError
from dacr.core.registry import calibrators, predictors, routers
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.replay.saved import SavedRouter, load_router, save_router
from dacr.replay.state_file import read_state, write_state
from dacr.routers.base import Router
from dacr.types import Training

STATE, TAU_S = "state.json", 3.0


@pytest.fixture(scope="module")
def estimator(sample_long: Path) -> Estimator:
    table = load(sample_long)
    table = table.with_latency(np.random.default_rng(0).uniform(1, 5, (table.n_query, table.n_model)))
    rows = np.random.default_rng(1).permutation(table.n_query)[:300]
    return Estimator(table, np.sort(rows[:240]), np.sort(rows[240:]), np.arange(60.0), tau_s=TAU_S, n_jobs=1)


@pytest.fixture(scope="module")
def training(estimator: Estimator) -> Training:
    return Training(estimator.training("logistic", "platt"), estimator.outcomes(estimator.train), TAU_S)


@pytest.fixture(scope="module")
def saved(estimator: Estimator, training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "dacr.router"
    save_router(path, routers.get("dacr")(lambda_cost=5.0).fit(training), estimator, "logistic", "platt")
    return path


def again(value: Any, tmp_path: Path, kind: type = object) -> Any:
    """Write and read a value; what was read gives the same bytes."""
    write_state(tmp_path / "one", value)
    back = read_state(tmp_path / "one", kind)
    write_state(tmp_path / "two", back)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    return back


@pytest.mark.parametrize("name", predictors.names())
def test_every_predictor_comes_back(name: str, estimator: Estimator, tmp_path: Path) -> None:
    x, y = estimator.x[estimator.train], estimator.table.quality[estimator.train]
    fitted = predictors.get(name)().fit(x, y)
    back = again(fitted, tmp_path, type(fitted))
    np.testing.assert_array_equal(back.predict(estimator.x), fitted.predict(estimator.x))


@pytest.mark.parametrize("name", calibrators.names())
def test_every_calibrator_comes_back(name: str, estimator: Estimator, tmp_path: Path) -> None:
    fitted = list(estimator.calibrators["logistic", name])
    x = estimator.x[estimator.test]
    p, domain = np.linspace(0, 1, len(x)), estimator.labels[estimator.test]
    for one, other in zip(fitted, again(fitted, tmp_path), strict=True):
        np.testing.assert_array_equal(one.transform(p, domain, x=x), other.transform(p, domain, x=x))


@pytest.mark.parametrize("name", routers.names())
def test_every_router_comes_back(name: str, training: Training, tmp_path: Path) -> None:
    cls = routers.get(name)
    if cls.clairvoyant:
        pytest.skip("a reference needs the truth")
    back = again(cls().fit(training), tmp_path, Router)
    assert type(back) is cls and back.params == cls().params


def test_a_saved_router_decides_as_it_did(saved: Path, estimator: Estimator) -> None:
    one, other = load_router(saved), load_router(saved)
    request = one.estimates(list(estimator.table.prompt[estimator.test][:1]))
    assert [one.decide(request, t).order for t in range(5)] == [other.decide(request, t).order for t in range(5)]


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "x"], (1, "b"): (float("inf"), -0.0)},
        [np.array([[1.0, np.nan]]), np.float32(2.5), np.int64(3), np.array(["a", "ł"]), np.array([], dtype=bool)],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["a", None, 3], dtype=object),
        {},
    ],
)
def test_plain_values_come_back(value: Any, tmp_path: Path) -> None:
    back = again(value, tmp_path)
    assert pickle.dumps(back) == pickle.dumps(value) or str(back) == str(value)


def test_what_is_not_known_is_not_saved(tmp_path: Path) -> None:
    class Mine:
        pass

    for value in (Mine(), {"a": [Mine()]}, len, {1, 2}, lambda: 0):
        with pytest.raises(UserError, match="can't be saved"):
            write_state(tmp_path / "x", value)
    assert not list(tmp_path.iterdir()), "nothing half-written"


class Harm:
    """Runs when a pickle of it is read."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.canary), "w"))


def rewritten(path: Path, out: Path, change: Callable[[dict[str, Any]], Any], **members: bytes) -> None:
    """Copy a saved router with another state, or with other members."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as other:
        about = json.loads(archive.read(STATE))
        about = change(about) or about
        other.writestr(STATE, about if isinstance(about, (str, bytes)) else json.dumps(about))
        for name in archive.namelist():
            if name != STATE:
                other.writestr(name, members.get(name.replace(".", "_"), archive.read(name)))
        for name, data in members.items():
            if name.replace("_", ".") not in archive.namelist():
                other.writestr(name, data)


def named(name: str, attributes: object = None) -> Callable[[dict[str, Any]], None]:
    """Return a change that puts an object of that class where the router is."""

    def change(about: dict[str, Any]) -> None:
        about["state"]["attributes"]["router"] = {"class": name, "attributes": attributes or {}}

    return change


def put(where: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda about: about["state"]["attributes"].update({where: value})


NAMES = [
    "os:system", "posix:system", "subprocess:Popen", "builtins:eval", "builtins:exec", "builtins:object",
    "pickle:loads", "importlib:import_module", "pathlib:Path", "dacr.core.files:write_text", "dacr.core.cli:run",
    "dacr.live.route:route_live", "dacr.routers.base:argmax_fair", "dacr.routers.base:np",
    "dacr.routers.base:Router.fit", "dacr.routers.nothing:Router", "dacr.routers.base:", ":Router", "dacr.routers",
    "", "dacr.routers..base:Router", "dacr.routers.base:__builtins__", "dacr.routers/../core:x",
    "sklearn.linear_model._ridge:Ridge ", "sklearn.pipeline:Pipeline", "numpy:ndarray", "dacr.routers.base:Terms",
    "dacr.estimates.estimator:Estimator", "dacr.routers.rules.engine:TaskLedger", "dacr.replay.saved:SavedRouter",
]  # fmt: skip
CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{f"class {name}": named(name) for name in NAMES},
    "other version": lambda about: about.update(dacr="9.9.9"),
    "other code": lambda about: about.update(code="0" * 32),
    "other scikit-learn": lambda about: about.update({"scikit-learn": "0.1"}),
    "no version": lambda about: about.pop("dacr") and None,
    "other format": lambda about: about.update(format="dacr fitted state 2"),
    "not JSON": lambda about: "{",
    "not UTF-8": lambda about: b"\xff\xfe",
    "a list": lambda about: "[1]",
    "nested": lambda about: "[" * 100_000,
    "nested state": lambda about: json.dumps(about).replace('"state": {', '"state": {"list": [' * 5000, 1),
    "no state": lambda about: about.pop("state") and None,
    "a number": lambda about: about.update(state=3),
    "an unknown form": lambda about: about.update(state={"eval": "1"}),
    "two forms": put("predictor", {"class": 3, "attributes": []}),
    "no such array": put("predictor", {"array": 10**9}),
    "an array by name": put("predictor", {"array": "../../x"}),
    "a list as a key": put("predictor", {"dict": [[{"list": []}, 1]]}),
    "a dict of threes": put("predictor", {"dict": [[1, 2, 3]]}),
    "a shape that is none": put("models", {"objects": [1, 2], "shape": [7]}),
    "a predictor that is a text": put("predictors", "logistic"),
    "features that are none": put("features", None),
    "calibrators missing": put("calibrators", {"list": []}),
    "models missing": put("models", {"tuple": []}),
    "a router without attributes": named("dacr.routers.dacr.router:DacrRouter"),
    "a method in the way": named("dacr.routers.fixed:RandomRouter", {"decide": 3}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_hostile_state_is_refused_in_one_line(what: str, saved: Path, tmp_path: Path) -> None:
    rewritten(saved, tmp_path / "x.router", CHANGES[what])
    refused(tmp_path / "x.router")


def refused(path: Path) -> None:
    with warnings.catch_warnings(), pytest.raises(UserError) as failed:
        warnings.simplefilter("ignore")  # of arithmetic on what is no number
        load_router(path)
    assert (
        "save it again" in str(failed.value) or "no saved router" in str(failed.value) or "refused" in str(failed.value)
    )


def object_array(canary: Path) -> bytes:
    from io import BytesIO

    data = BytesIO()
    np.save(data, np.array([Harm(canary)], dtype=object), allow_pickle=True)
    return data.getvalue()


HEADER = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x93NUMPY", b"junk", HEADER.ljust(127) + b"\n", HEADER.replace(b"'<f8'", b"f(3) ").ljust(127) + b"\n"],
)
def test_an_array_that_is_none_is_refused(data: bytes, saved: Path, tmp_path: Path) -> None:
    rewritten(saved, tmp_path / "x.router", lambda about: None, **{"0_npy": data})
    refused(tmp_path / "x.router")


def test_nothing_in_a_file_is_run(saved: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for number, data in enumerate((pickle.dumps(Harm(canary)), b"DACR router 1\n" + pickle.dumps(Harm(canary)))):
        path = tmp_path / f"{number}.router"
        path.write_bytes(data)
        refused(path)
    rewritten(saved, tmp_path / "x.router", lambda about: None, **{"0_npy": object_array(canary)})
    refused(tmp_path / "x.router")
    assert not canary.exists()
    pickle.loads(pickle.dumps(Harm(canary))).close()
    assert canary.exists(), "the harm is real"


def test_a_bomb_is_refused_before_it_unpacks(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.router", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(STATE, b" " * 100_000_000)
    refused(tmp_path / "x.router")
    assert (tmp_path / "x.router").stat().st_size < 200_000
    with zipfile.ZipFile(tmp_path / "y.router", "w") as other:
        other.writestr("1.npy", b"")
    refused(tmp_path / "y.router")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_torn_file_is_refused(share: float, saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    (tmp_path / "x.router").write_bytes(data[: int(share * len(data))])
    refused(tmp_path / "x.router")


@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.95])
def test_a_flipped_bit_is_refused(place: float, saved: Path, tmp_path: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[int(place * len(data))] ^= 1
    (tmp_path / "x.router").write_bytes(data)
    refused(tmp_path / "x.router")


def test_a_state_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path / "x.router", {"a": 1})
    with pytest.raises(UserError, match="it holds dict"):
        read_state(tmp_path / "x.router", SavedRouter)
