"""Fitted objects in a file that holds nothing to execute: numbers, texts, arrays, and names of classes that are known.

The file is a zip archive of ``state.json`` and plain ``.npy`` arrays. An object is the name of its class and the values
of its attributes. Reading it makes an empty object of a class of this package's routers and estimates, or of a class
of :data:`_OTHERS`, and fills the attributes in: no constructor runs, and no other name is ever looked up.
"""

import functools
import importlib
import io
import json
import re
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from dacr import __version__
from dacr.core import files
from dacr.core.cache import code_version
from dacr.core.errors import UserError

_FORMAT = "dacr fitted state 1"
_AGAIN = "save it again with run_experiment.py --save_router FILE"
_WHEN = (1980, 1, 1, 0, 0, 0)
_MOST_BYTES = 2**31
_MOST_JSON_BYTES = 2**26
_IRRELEVANT = (
    "contracts",
    "envs",
    "experiment",
    "live",
    "metrics",
    "report",
    "workload",
    "data/sample",
    "data/loaders",
)
_OWN = re.compile(r"dacr\.(?:routers|estimates|replay\.saved)(?:\.\w+)*:[A-Za-z]\w*")
_LOSS, _TREES = "sklearn._loss.", "sklearn.ensemble._hist_gradient_boosting."
_OTHERS = {
    "sklearn.isotonic:IsotonicRegression",
    f"{_TREES}gradient_boosting:HistGradientBoostingRegressor",
    f"{_TREES}binning:_BinMapper",
    f"{_TREES}predictor:TreePredictor",
    f"{_LOSS}loss:HalfSquaredError",
    f"{_LOSS}link:IdentityLink",
    f"{_LOSS}link:Interval",
    f"{_LOSS}_loss:CyHalfSquaredError",
    "venn_abers.venn_abers:VennAbers",
}
"""Classes of other packages that fitted parts hold."""


def write_state(path: str | Path, value: Any) -> None:
    """Write an object whole or not at all; the same object gives the same bytes.

    Raises
    ------
    UserError
        It holds an object whose class is not known here, such as one of a plug-in.
    """
    arrays: list[np.ndarray] = []
    about = {"format": _FORMAT, **_versions(), "state": _packed(value, arrays)}
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(zipfile.ZipInfo("state.json", _WHEN), json.dumps(about))
        for number, array in enumerate(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{number}.npy", _WHEN), data.getvalue())


def read_state(path: str | Path, kind: type) -> Any:
    """Read what :func:`write_state` wrote, an object of class ``kind``.

    Raises
    ------
    UserError
        No such file; none of this format; written by other code; torn, or made to do harm.
    """
    path = files.existing_file(path, made_by="python scripts/run_experiment.py --save_router FILE")
    try:
        with zipfile.ZipFile(path) as archive:
            about = _about(archive, path)
            arrays = [_array(archive, f"{number}.npy") for number in range(len(archive.namelist()) - 1)]
        value = _unpacked(about["state"], arrays)
    except UserError:
        raise
    except zipfile.BadZipFile:
        raise UserError(f"{path} is no saved router, or a torn one; {_AGAIN}") from None
    except Exception as error:  # whatever a hostile file makes numpy, json or zipfile say
        raise UserError(f"{path} can't be read as a saved router ({type(error).__name__}); {_AGAIN}") from None
    if not isinstance(value, kind):
        raise UserError(f"{path} is no saved router: it holds {type(value).__name__}; {_AGAIN}")
    return value


@functools.cache
def _versions() -> dict[str, str]:
    """Name the code that this process runs, as it stood when this was first asked."""
    try:
        learn = version("scikit-learn")
    except PackageNotFoundError:
        learn = "none"
    return {"dacr": __version__, "code": code_version(without=_IRRELEVANT), "scikit-learn": learn}


def _about(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    entries = archive.infolist()
    # Nothing is compressed, so the file's own size bounds what it unpacks to.
    if any(one.compress_type != zipfile.ZIP_STORED for one in entries) or (
        sum(one.file_size for one in entries) > min(_MOST_BYTES, path.stat().st_size)
    ):
        raise UserError(f"{path} unpacks to more than it holds: it is no saved router; {_AGAIN}")
    if archive.getinfo("state.json").file_size > _MOST_JSON_BYTES:
        raise UserError(f"{path} is no saved router: its state.json is too long; {_AGAIN}")
    about = json.loads(archive.read("state.json"))
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise UserError(f"{path} is no saved router of this version's format; {_AGAIN}")
    for name, here in _versions().items():
        if about.get(name) != here:
            theirs = str(about.get(name))[:40]
            raise UserError(f"{path} was saved with {name} {theirs}, here it is {here}; {_AGAIN}")
    return about


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        data = io.BytesIO(file.read())
    array = np.lib.format.read_array(data, allow_pickle=False)
    if data.read(1):
        raise ValueError(f"{name} goes on after its array")
    return array


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return a value as JSON; arrays are appended to ``arrays`` and stand there by number."""
    if type(value) in (type(None), bool, int, float, str):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        arrays.append(np.asarray(value))
        return {"scalar": len(arrays) - 1}
    if isinstance(value, np.random.Generator):
        return None  # of a fit that is over
    if type(value) in (list, tuple):
        return {type(value).__name__: [_packed(one, arrays) for one in value]}
    if isinstance(value, np.ndarray):
        return {"objects": [_packed(one, arrays) for one in value.ravel().tolist()], "shape": list(value.shape)}
    if type(value) is dict:
        return {"dict": [[_packed(key, arrays), _packed(one, arrays)] for key, one in value.items()]}
    name = f"{_module_of(type(value))}:{type(value).__qualname__}"
    if not _is_known(name):
        raise UserError(f"a router that holds {name.replace(':', '.')} can't be saved: that class is not known")
    state = (value.__getstate__() if _sets_itself(type(value)) else getattr(value, "__dict__", None)) or {}
    return {"class": name, "attributes": {key: _packed(one, arrays) for key, one in sorted(state.items())}}


def _unpacked(packed: Any, arrays: list[np.ndarray]) -> Any:
    if packed is None or isinstance(packed, (bool, int, float, str)):
        return packed
    if not isinstance(packed, dict):
        raise ValueError("a list that stands alone")
    match packed:
        case {"array": int(number)}:
            return arrays[number]
        case {"scalar": int(number)}:
            return arrays[number][()]
        case {"list": list(values)}:
            return [_unpacked(one, arrays) for one in values]
        case {"tuple": list(values)}:
            return tuple(_unpacked(one, arrays) for one in values)
        case {"objects": list(values), "shape": list(shape)}:
            out = np.empty(len(values), dtype=object)
            out[:] = [_unpacked(one, arrays) for one in values]
            return out.reshape(shape)
        case {"dict": list(pairs)}:
            return {_unpacked(key, arrays): _unpacked(one, arrays) for key, one in pairs}
        case {"class": str(name), "attributes": dict(attributes)}:
            kind = _class(name)
            made: Any = kind.__new__(kind)
            state = {key: _unpacked(one, arrays) for key, one in attributes.items()}
            if state and _sets_itself(kind):
                made.__setstate__(state)
            else:
                getattr(made, "__dict__", {}).update(state)
            return made
    raise ValueError("a form that is not known")


def _module_of(kind: type) -> str:
    """Return the module of a class; scikit-learn before 1.9 names that of its losses by the last part alone."""
    return f"{_LOSS}_loss" if kind.__module__ == "_loss" else kind.__module__


def _sets_itself(kind: type) -> bool:
    """Say whether a class of scikit-learn leaves out of its state what it makes again from the rest."""
    return _module_of(kind).startswith("sklearn.") and hasattr(kind, "__setstate__")


def _is_known(name: str) -> bool:
    return name in _OTHERS or _OWN.fullmatch(name) is not None


def _class(name: str) -> Any:
    if not _is_known(name):
        raise UserError(f"the file names {name[:80]!r}, which no saved router holds: it is refused")
    module, _, qualname = name.partition(":")
    found = getattr(importlib.import_module(module), qualname)
    if not isinstance(found, type) or _module_of(found) != module:
        raise ValueError("a name that is no class")
    return found
