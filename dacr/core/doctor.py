"""``dacr doctor``: what this installation has, and what is missing for what."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import dacr
from dacr.core.cache import Cache
from dacr.core.files import CONFIGS

_ROOT = Path(__file__).resolve().parents[2]
_PURPOSE = {
    "": "every stage",
    "live": "a server of live requests, and metrics on Redis",
    "rl": "training PPO, and playing trained networks",
    "engines": "sweeps on Dask or Ray clusters, and tables behind URLs",
    "track": "telling an MLflow server of experiments (--track)",
    "docs": "the documentation as a site, and its notebooks",
    "dev": "the tests",
}
_PROGRAMS = {
    "chromium": ("tests that look at pages", ("chromium", "chromium-browser", "google-chrome")),
    "redis": ("tests of metrics on Redis", ("redis-server",)),
    "latex": ("compiling the tables of results", ("pdflatex", "lualatex", "tectonic")),
    "git": ("the commit in manifests", ("git",)),
}


def doctor() -> int:
    """Tell versions, cache, cores and programs, and what is missing for what.

    Returns
    -------
    int
        1 where a package that every stage needs is missing or too old, else 0.
    """
    print(f"dacr {dacr.__version__} in {_ROOT}, configurations in {CONFIGS}")
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    cache = Cache.from_environment()
    held = [path.stat().st_size for path in cache.folder.rglob("*") if path.is_file()] if cache.folder else []
    print(f"cache {cache.folder}: {len(held)} files, {sum(held) / 2**30:.2f} GiB")
    print("\npackages")
    wanted = requirements()
    faults = {extra: [fault for one in wanted[extra] if (fault := _fault(one))] for extra in wanted}
    for extra, missing in faults.items():
        name, purpose = extra or "dacr", _PURPOSE.get(extra, "what its requirement file says")
        state = "complete" if not missing else f"missing: {', '.join(missing)}; {_how(extra)}"
        print(f"  {name:<9} for {purpose}: {state}")
    print("\nprograms")
    for name, (purpose, commands) in _PROGRAMS.items():
        found = next((path for command in commands if (path := shutil.which(command))), None)
        print(f"  {name:<9} for {purpose}: {found or 'not found'}")
    return int(bool(faults.get("")))


def requirements() -> dict[str, list[Requirement]]:
    """Return what each extra needs ("" for the package itself), from the requirement files or the installed package."""
    out: dict[str, list[Requirement]] = {"": []}
    for path in sorted(_ROOT.glob("requirements*.txt")):
        lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        extra = path.stem.removeprefix("requirements").lstrip("-")
        out[extra] = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    if out[""]:
        return out
    for line in metadata.requires("dacr") or ():
        one = Requirement(line)
        for extra in ["", *(metadata.metadata("dacr").get_all("Provides-Extra") or ())]:
            if one.marker is None and not extra:
                out[""].append(one)
            elif one.marker is not None and extra and one.marker.evaluate({"extra": extra}):
                out.setdefault(extra, []).append(one)
    return out


def _fault(wanted: Requirement) -> str:
    """Return what is wrong with one requirement, nothing where it is met."""
    try:
        has = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return str(wanted.name)
    met = wanted.specifier.contains(has, prereleases=True)
    return "" if met else f"{wanted.name}{wanted.specifier} (there is {has})"


def _how(extra: str) -> str:
    files = _ROOT / f"requirements{'-' if extra else ''}{extra}.txt"
    return f"pip install -r {files.name}" if files.is_file() else f"pip install 'dacr[{extra}]'"
