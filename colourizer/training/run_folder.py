"""The folder of a training run: its checkpoints, settings, log and pictures."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from colourizer.network.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from colourizer.runtime.atomic_file import write_bytes
from colourizer.runtime.cli import print_note

# To go on from: the newest, and the one before, should the newest be damaged.
LAST, PREVIOUS = "last.pt", "previous.pt"
BEST = "best.pt"  # to colourize with
SETTINGS, LOG, PICTURE = "settings.json", "log.jsonl", "progress.png"
TENSORBOARD = "tensorboard"  # a folder


def holds_run(run: Path) -> bool:
    """Say whether a folder is that of a run already."""
    return any((run / name).exists() for name in (LAST, PREVIOUS, BEST))


def saved_any(run: Path) -> bool:
    """Say whether a run was saved yet; one that was killed in its first seconds was not."""
    return (run / LAST).exists() or (run / PREVIOUS).exists()


def _keep_as(path: Path, second: Path) -> None:
    """Give a file a second name, which may be another's so far, without ever losing one."""
    new = second.with_name(f".part-{second.name}")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:  # not every file system has links
        shutil.copyfile(path, new)
    new.replace(second)


def save_last(run: Path, content: dict[str, Any]) -> None:
    """Save what a run goes on from; what it went on from so far becomes the one before.

    Args:
        run: the run's folder.
        content: as of `save_checkpoint`.
    """
    if (run / LAST).exists():
        _keep_as(run / LAST, run / PREVIOUS)
    save_checkpoint(run / LAST, content)


def load_last(run: Path) -> tuple[Path, dict[str, Any]]:
    """Load what a run goes on from; if that is damaged, say so, and load the one before.

    Returns:
        The file, and what it holds.

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
        _keep_as(run / PREVIOUS, run / LAST)
        return run / PREVIOUS, content


def write_settings(run: Path, settings: dict[str, Any]) -> None:
    """Write how a run was asked for; the folder need not be there yet."""
    write_bytes(run / SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())


def read_settings(run: Path) -> dict[str, Any]:
    """Read how a run was asked for.

    Raises:
        OSError, ValueError: there is no readable settings.json.
    """
    settings = json.loads((run / SETTINGS).read_text())
    if not isinstance(settings, dict) or not isinstance(settings.get("options"), dict):
        raise ValueError("no settings of a run")
    return settings


def write_log(run: Path, log: list[dict[str, Any]]) -> None:
    """Write the log: a line of JSON for each look at the validation photographs."""
    write_bytes(run / LOG, "".join(json.dumps(row) + "\n" for row in log).encode())


def read_log(run: Path) -> list[dict[str, Any]]:
    """Read the log.

    Raises:
        OSError, ValueError: there is none, or it is none of ours.
    """
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    if not log or not all(isinstance(row, dict) and "ab_error" in row for row in log):
        raise ValueError("no log of a run")
    return log
