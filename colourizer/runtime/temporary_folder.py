"""Folders for temporary files; those that killed processes have left are removed."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from colourizer.runtime.process import MACHINE, has_ended


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
