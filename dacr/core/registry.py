"""Registered parts: a drop-in file with one decorated class or function is all that a part needs.

Each kind of part lives in a package of its own; every module of that package, and of packages in it, is imported when
the registry is first asked, so a new file is found without being listed anywhere.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from dacr.core.errors import UserError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts of one kind by name.

    Examples
    --------
    >>> shapes = Registry("shape", package=None)
    >>> @shapes.register("square")
    ... class Square: ...
    >>> shapes.names()
    ['square']
    >>> shapes.get("sqare")
    Traceback (most recent call last):
    dacr.core.errors.UserError: unknown shape 'sqare'; did you mean 'square'? known: square
    """

    def __init__(self, kind: str, package: str | None) -> None:
        self.kind = kind
        self._package = package
        self._parts: dict[str, T] = {}
        self._discovered = package is None

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that files a part under ``name`` and sets its ``name`` attribute."""

        def decorate(part: Any) -> Any:
            known = self._parts.get(name)
            if known is not None and _origin(known) != _origin(part):
                raise UserError(
                    f"{self.kind} {name!r} is registered twice: by {_origin(known)} and by "
                    f"{_origin(part)}; give one of them another name"
                )
            part.name = name
            self._parts[name] = part
            return part

        return decorate

    def get(self, name: str) -> T:
        """Return the part called ``name``, or raise :class:`UserError` with the nearest name."""
        self._discover()
        if name not in self._parts:
            raise unknown(f"unknown {self.kind}", name, self.names())
        return self._parts[name]

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        self._discover()
        return sorted(self._parts)

    def items(self) -> Iterator[tuple[str, T]]:
        """Iterate over (name, part), sorted by name."""
        self._discover()
        return iter(sorted(self._parts.items()))

    def _discover(self) -> None:
        if self._discovered or self._package is None:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.walk_packages(package.__path__, prefix=f"{self._package}."):
            importlib.import_module(module.name)
        load_installed()


def _origin(part: Any) -> str:
    return f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', repr(part))}"


@lru_cache(maxsize=1)
def load_installed() -> None:
    """Import the parts of other packages: modules that they name as entry points of the group ``dacr.parts``."""
    for entry in entry_points(group="dacr.parts"):
        try:
            entry.load()
        except UserError:
            raise
        except Exception as error:
            package = f" of {entry.dist.name}" if entry.dist else ""
            raise UserError(
                f"the installed parts {entry.name!r}{package} failed to import: {type(error).__name__}: {error}; "
                "mend or uninstall that package"
            ) from error


def load_plugin(path: str | Path) -> None:
    """Import a Python file from outside the package, so that the parts it registers are known."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"plugin {str(path)!r} is not a file; expected a Python file such as my_router.py")
    name = f"dacr_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plugin {str(path)!r} can't be imported; expected a file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.modules.setdefault("dacr.registry", sys.modules[__name__])  # where plug-ins written for 0.1 find it
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"plugin {str(path)!r} failed to import: {type(error).__name__}: {error}") from error


routers: Registry[Any] = Registry("router", "dacr.routers")
predictors: Registry[Any] = Registry("predictor", "dacr.estimates.predictors")
calibrators: Registry[Any] = Registry("calibrator", "dacr.estimates.calibrators")
loaders: Registry[Any] = Registry("loader", "dacr.data.loaders")
figures: Registry[Any] = Registry("figure", "dacr.report.figures")
plans: Registry[Any] = Registry("plan", "dacr.routers.plans")
protocols: Registry[Any] = Registry("protocol", "dacr.replay.protocols")
metrics: Registry[Any] = Registry("metric", "dacr.metrics.columns")
checks: Registry[Any] = Registry("check", "dacr.experiment.checks")

ALL: dict[str, Registry[Any]] = {
    "routers": routers,
    "predictors": predictors,
    "calibrators": calibrators,
    "loaders": loaders,
    "figures": figures,
    "plans": plans,
    "protocols": protocols,
    "metrics": metrics,
    "checks": checks,
}


def list_parts(settings: Any) -> None:
    """Print every registered part with the first line of its docstring, and stop."""
    if settings.plugin is not None:
        load_plugin(settings.plugin)
    for kind, parts in ALL.items():
        print(f"{kind}:")
        for name, part in parts.items():
            print(f"  {name:18} {(part.__doc__ or '').strip().splitlines()[0]}")
