"""Command: colourize photographs and steer their colours on a page in the browser."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
from colourizer.app.__main__ import main
from colourizer.runtime.cli import run_command

if __name__ == "__main__":
    run_command(main)
