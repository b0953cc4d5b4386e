"""Several files of a folder are replaced together: as they were, or all new, also for who is killed in between.

No file system renames two files at once. So the new files are written into a folder of their own, ``.new-...``, and
renamed as a whole to ``.swap``, with a journal of what is to go and what is to come: that one rename decides. What
follows can be done again and again, and :func:`settle` does it for whoever was killed: every later writer calls it, and
every reader through :func:`dacr.core.files.existing_folder`.

Who looks into the folder by other means may come between the moves. It then finds no ``manifest.json``: the manifest
goes first and comes last. Nothing here stops a reader from opening one file before a swap and the next one after it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PENDING = ".swap"
MANIFEST = "manifest.json"
_JOURNAL = ".journal.json"
_LEFT_BEHIND = (".new-*", ".old-*")


@contextlib.contextmanager
def replace_files(folder: Path, owned: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder; if the block succeeds its files replace all that is ``owned``.

    If the block raises, or the process is killed in it, earlier files stay as they were.

    Parameters
    ----------
    folder : Path
        Exists. What is not owned stays in it.
    owned : sequence of str
        Names of files and folders. Those that the block does not write are removed.
    """
    settle(folder)
    with contextlib.ExitStack() as stack:
        with _held(folder):
            _sweep_up(folder)
            fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            stack.callback(shutil.rmtree, fresh, ignore_errors=True)
            stack.enter_context(_held(fresh))  # says that its writer lives
        yield fresh
        written = sorted(path.name for path in fresh.iterdir())
        foreign = set(written) - set(owned)
        if foreign:
            raise ValueError(f"{sorted(foreign)} would be written without being owned, and so never be replaced")
        journal = {"remove": sorted(set(owned) - set(written)), "put": written}
        (fresh / _JOURNAL).write_text(json.dumps(journal), encoding="utf-8")
        for path in (*fresh.iterdir(), fresh):
            _to_disk(path)
        with _held(folder):
            _finish(folder)  # of another writer who was killed since
            os.rename(fresh, folder / PENDING)
            _to_disk(folder)
            _finish(folder)
            _sweep_up(folder)


def settle(folder: Path) -> None:
    """Finish a swap that was decided but cut short; do nothing where there is none."""
    if (folder / PENDING).is_dir():
        with _held(folder):
            _finish(folder)


def _finish(folder: Path) -> None:
    """Do what is left to do of a swap: any number of times, from any point on."""
    pending = folder / PENDING
    if not pending.is_dir():
        return
    if (pending / _JOURNAL).is_file():  # else all is in place, and the journal was being removed
        journal = json.loads((pending / _JOURNAL).read_text(encoding="utf-8"))
        to_come = [name for name in journal["put"] if (pending / name).exists()]
        for name in (*(name for name in to_come if name == MANIFEST), *journal["remove"]):
            _remove(folder / name)
        for name in sorted(to_come, key=lambda name: name == MANIFEST):
            if (folder / name).is_dir():
                _remove(folder / name)
            os.replace(pending / name, folder / name)
        _to_disk(folder)
        (pending / _JOURNAL).unlink()
    shutil.rmtree(pending)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sweep_up(folder: Path) -> None:
    """Remove what killed writers left: the folders whose locks nobody holds any more."""
    for pattern in _LEFT_BEHIND:
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError), _held(path, wait=False):  # held: its writer lives
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; it goes with the process, however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not wait:
                raise
            # else: a file system without locks. Two writers at once are not told apart there.
        yield
    finally:
        os.close(handle)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
