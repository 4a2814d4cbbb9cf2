"""Folders for temporary files; what killed processes have left is removed, or gone on with."""

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from colourizer.runtime.process import MACHINE, has_ended

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KEPT, KEPT_SECONDS = "colourizer-kept-", 7 * 24 * 3600  # since it was used last
LOCK = "lock"
ROOM_HINT = "the environment variable TMPDIR names another folder for temporary files"


def temporary_folder(stack: ExitStack) -> Path:
    """Return a new folder where the system keeps temporary files; the stack removes it.

    Those of processes of this machine that were killed before they could are removed, too.
    """
    begin = f"colourizer-{MACHINE}-"
    for path in Path(tempfile.gettempdir()).glob(f"{begin}*"):
        process = path.name.removeprefix(begin).partition("-")[0]
        if process.isdigit() and has_ended(int(process)):
            shutil.rmtree(path, ignore_errors=True)
    folder = tempfile.TemporaryDirectory(prefix=f"{begin}{os.getpid()}-")
    return Path(stack.enter_context(folder))


def kept_folder(key: str, stack: ExitStack) -> Path | None:
    """Return a folder for temporary files from which the next process with the same key goes on.

    Who is done with it removes it. Those that nobody has used for KEPT_SECONDS are removed, too.

    Args:
        key: what its content depends on.
        stack: when it is closed, other processes may use the folder.

    Returns:
        The folder; None if another process uses it, or it is another user's.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{KEPT}*"):
        with suppress(OSError), ExitStack() as look:
            unused = time.time() - (old / LOCK).stat().st_mtime
            if unused > KEPT_SECONDS and _lock(old, look):
                shutil.rmtree(old, ignore_errors=True)
    name = KEPT + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:20]
    folder = Path(tempfile.gettempdir(), name)
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.name == "posix" and folder.lstat().st_uid != os.getuid():
        return None
    return folder if _lock(folder, stack) else None


def _lock(folder: Path, stack: ExitStack) -> bool:
    file = stack.enter_context((folder / LOCK).open("a"))
    if fcntl:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    os.utime(file.name)
    return True
