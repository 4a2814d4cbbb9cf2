"""early_interrupt.py: Ctrl-C during a command's imports ends it in one line."""

import subprocess
import sys

import pytest
from support.scenes import ROOT

COMMANDS = sorted(path.name for path in ROOT.glob("*.py") if "run_command" in path.read_text())
# Runs a command; the import of NumPy, or of what comes before it, is where Ctrl-C arrives.
PROGRAM = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
class Finder:
    def find_spec(name, path, target=None):
        if name.partition(".")[0] in ("numpy", "torch", "PIL"):
            {raised}
sys.meta_path.insert(0, Finder)
sys.path.insert(0, ".")
runpy.run_path("{command}", run_name="__main__")
"""
SWALLOWED = "\n".join(
    f"            {line}"
    for line in (
        "import os, signal",
        "try: os.kill(os.getpid(), signal.SIGINT)",
        "except KeyboardInterrupt: pass",
        "raise ImportError('as NumPy does')",
    )
).strip()


@pytest.mark.parametrize("raised", ["raise KeyboardInterrupt", SWALLOWED])
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_during_the_imports_is_one_line(command, raised):
    program = PROGRAM.format(command=command, raised=raised)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_there_are_commands():
    assert {"colourize.py", "train.py", "app.py"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_package_that_is_not_installed_is_named_with_what_helps(command):
    program = f"import sys, runpy; sys.modules['numpy'] = None; sys.modules['PIL'] = None\n\
sys.modules['torch'] = sys.modules['tqdm'] = None; runpy.run_path({command!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert error in [
        f"error: needs the package {name}" for name in ("numpy", "PIL", "torch", "tqdm")
    ]
    assert hint.startswith("hint: activate the environment")


def test_other_errors_are_reported_as_ever():
    program = "import colourizer.runtime.early_interrupt; 1 / 0"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
