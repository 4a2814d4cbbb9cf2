"""The folder of a training run: its checkpoints, settings, log and pictures."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from colourizer.network.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from colourizer.runtime.atomic_file import write_bytes
from colourizer.runtime.cli import print_note

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# To go on from: the newest, and the one before, should the newest be damaged.
LAST, PREVIOUS = "last.pt", "previous.pt"
BEST = "best.pt"  # to colourize with
SETTINGS, LOG, PICTURE = "settings.json", "log.jsonl", "progress.png"
TENSORBOARD = "tensorboard"  # a folder
Log = list[dict[str, Any]]  # a row of figures for each validation, by their names


def holds_run(run: Path) -> bool:
    """Return whether a folder is a run's already."""
    return any((run / name).exists() for name in (LAST, PREVIOUS, BEST))


@contextmanager
def lock_run(run: Path) -> Iterator[bool]:
    """Lock a run's folder against other processes, and yield whether none had locked it before.

    The folder is made, and removed again if nothing was written to it.
    """
    run.mkdir(parents=True, exist_ok=True)
    folder, free = (os.open(run, os.O_RDONLY) if fcntl else -1), True
    try:
        if fcntl:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        free = False
    except OSError:  # a file system without locks
        pass
    try:
        yield free
    finally:
        if fcntl:
            os.close(folder)
        with suppress(OSError):
            run.rmdir()


def saved_any(run: Path) -> bool:
    """Return whether a run was saved yet; one that was killed in its first seconds was not."""
    return (run / LAST).exists() or (run / PREVIOUS).exists()


def _link(path: Path, second: Path) -> None:
    """Make `second` a hard link to a file, or a copy; it is replaced atomically."""
    new = second.with_name(f".part-{second.name}")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:  # not every file system has links
        shutil.copyfile(path, new)
    new.replace(second)


def save_last(run: Path, content: dict[str, Any]) -> None:
    """Write last.pt; the one before becomes previous.pt.

    Args:
        run: the run's folder.
        content: as for `save_checkpoint`.
    """
    if (run / LAST).exists():
        _link(run / LAST, run / PREVIOUS)
    save_checkpoint(run / LAST, content)


def load_last(run: Path) -> tuple[Path, dict[str, Any]]:
    """Load last.pt; if it is damaged, print so, and load previous.pt.

    Returns:
        The file that was loaded, and its content.

    Raises:
        CheckpointError: neither can be used.
    """

    def load(path: Path) -> dict[str, Any]:
        content = load_checkpoint(path)
        if not {"state", "training", "optimizer"} <= content.keys():
            hint = f"begin a run with --start-from {path}"
            raise CheckpointError(path, "holds no run that can go on", hint)
        return content

    try:
        return run / LAST, load(run / LAST)
    except CheckpointError as error:
        if not (run / PREVIOUS).exists():
            raise
        content = load(run / PREVIOUS)
        print_note(f"note: {error}; going on from {run / PREVIOUS}, the one before")
        _link(run / PREVIOUS, run / LAST)
        return run / PREVIOUS, content


def write_settings(run: Path, settings: dict[str, Any]) -> None:
    """Write settings.json; the folder need not be there yet."""
    write_bytes(run / SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())


def read_settings(run: Path) -> dict[str, Any]:
    """Read settings.json.

    Raises:
        OSError, ValueError: there is no readable settings.json.
    """
    settings = json.loads((run / SETTINGS).read_text())
    if not isinstance(settings, dict) or not isinstance(settings.get("options"), dict):
        raise ValueError("no settings of a run")
    return settings


def write_log(run: Path, log: Log) -> None:
    """Write log.jsonl: a line of JSON for each validation."""
    write_bytes(run / LOG, "".join(json.dumps(row) + "\n" for row in log).encode())


def read_log(run: Path) -> Log:
    """Read log.jsonl.

    Raises:
        OSError, ValueError: there is none, or it is none of ours.
    """
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    if not log or not all(isinstance(row, dict) and "ab_error" in row for row in log):
        raise ValueError("no log of a run")
    return log
