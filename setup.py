"""What pyproject.toml cannot say: configs/ ships as dacr.configs, and each requirements-NAME.txt is the extra NAME."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def requirements(path: Path) -> list[str]:
    """Return the packages that a requirement file names; files that it includes stand for themselves."""
    lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and line[0] not in "#-"]


setup(
    packages=[*find_packages(include=["dacr", "dacr.*"]), "dacr.configs"],
    package_dir={"dacr.configs": "configs"},
    install_requires=requirements(HERE / "requirements.txt"),
    extras_require={
        path.stem.removeprefix("requirements-"): requirements(path) for path in sorted(HERE.glob("requirements-*.txt"))
    },
)
