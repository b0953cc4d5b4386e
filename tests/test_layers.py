"""The house rules that a picture of the code rests on: one way down, no circles, nothing loose."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (  # from the ground up; a module imports its own floor and those below
    {"types"}, {"core"}, {"data"}, {"metrics", "workload", "estimates"}, {"routers", "report"}, {"replay"},
    {"experiment"}, {"live"}, {"envs"}, {"contracts"}, {"__main__"},
)  # fmt: skip
RANK = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LOOSE = {"__init__", "__main__", "types"}
MOST_LINES, MOST_FILES = 300, 16
DROP_INS = {"routers", "figures", "predictors", "calibrators", "loaders", "protocols", "checks", "columns"}
FILES = sorted((ROOT / "dacr").rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imports(path):
    """Modules of the package that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dacr":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


@cache
def arrows():
    """Return who imports whom: read once, and by the process that runs these tests alone."""
    return {(name, other) for name, path in MODULES.items() for other in imports(path) if name != other}


def room(module):
    return module.split(".")[1] if "." in module else ""


def test_nothing_imports_a_room_above_it_or_beside_it():
    wrong = [f"{a} -> {b}" for a, b in sorted(arrows()) if room(a) and room(b) and room(a) != room(b)
             and RANK[room(b)] >= RANK[room(a)]]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_no_two_modules_import_each_other_in_a_circle():
    left = {name: {b for a, b in arrows() if a == name} for name in MODULES}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left, sorted(left)


def test_only_the_conductor_knows_all_flags():
    """Settings come in two floors: no room below replay knows any, and an experiment's are for who runs one."""
    users = {room(a) for a, b in arrows() if b == "dacr.experiment.settings"}
    assert "experiment" in users <= {"experiment", "contracts"}, users
    below = {room for floor in FLOORS[: RANK["replay"]] for room in floor}
    told = [
        f"{name}: {takes}" for name, path in MODULES.items() if room(name) in below for takes in settings_taken(path)
    ]
    assert not told, told


def settings_taken(path):
    """Functions of a file that take the settings of a run; what a router or a panel calls its settings is its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for arg in [*node.args.args, *node.args.kwonlyargs]:
                if arg.annotation is not None and "Settings" in ast.unparse(arg.annotation):
                    yield node.name


def test_rooms_are_small_and_nothing_is_loose():
    assert {path.stem for path in (ROOT / "dacr").glob("*.py")} <= LOOSE
    long = [name for name, path in MODULES.items() if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES]
    full = [str(folder.relative_to(ROOT)) for folder in {path.parent for path in FILES}
            if folder.name not in DROP_INS
            and len(list(folder.glob("*.py"))) > MOST_FILES + 1]  # fmt: skip
    assert not long and not full, (long, full)
