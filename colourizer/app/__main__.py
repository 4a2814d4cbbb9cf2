"""Command: colourize photographs and steer their colours on a page in the browser."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import secrets
import socket
from pathlib import Path

import torch

from colourizer.app.photo_store import MAX_PHOTOS, PhotoStore
from colourizer.inference.colourizer import Colourizer
from colourizer.network.checkpoint import BUNDLED, CheckpointError
from colourizer.network.device import add_device_option
from colourizer.runtime.cli import print_error, print_note, print_result, run_command
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.process import count_cores, raise_open_file_limit

HOST = "127.0.0.1"  # not reachable from other machines
SPARE_FILES = 512  # open files besides the photographs: connections, and files being written


def port_number(text: str) -> int:
    """Return an option's value as a port number, for argparse."""
    value = int(text)
    if not 0 <= value < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text}: between 0 and 65535")
    return value


port_number.__name__ = "int"  # argparse says "invalid int value"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Show a page in the browser on which photographs are coloured. It works "
        "without internet; photographs stay on this machine, and are forgotten when the page is "
        "closed. Prints the page's address, with a token that only you know: other users of this "
        "machine cannot open the page.",
        epilog="exit codes: 2 it cannot begin, 130 or 143 stopped",
    )
    add = parser.add_argument
    add("--port", type=port_number, default=8000, metavar="N",
        help="0 takes any that is free (default: %(default)s)")  # fmt: skip
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled "
        "one)")  # fmt: skip
    add_device_option(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    try:
        from colourizer.app.server import make_app, make_server
    except ImportError as error:
        print_error(f"needs {error.name}", 'pip install -e ".[app]"')
        return 2
    try:
        colourizer = Colourizer.load(args.checkpoint, args.device)
    except CheckpointError as error:
        print_error(error)
        return 2
    try:
        listener = bind(args.port)
    except OSError as error:
        print_error(
            f"port {args.port}: {reason_of(error)}", f"--port {args.port + 1}, or 0 for any"
        )
        return 2
    raise_open_file_limit(MAX_PHOTOS + SPARE_FILES)
    # Photographs beside each other use the cores better than one photograph on all of them.
    torch.set_num_threads(max(1, count_cores() // 2))
    token = secrets.token_urlsafe(32)  # other users of this machine do not know it
    server = make_server(make_app(PhotoStore(colourizer), token))
    listener.listen()
    print_result(f"http://{HOST}:{listener.getsockname()[1]}/?token={token}")
    print_note("open that address in a browser; Ctrl-C stops")
    with Interrupt() as stop:  # uvicorn handles the signal first, then raises it again
        server.run(sockets=[listener])
    return stop.exit_code


def bind(port: int) -> socket.socket:
    """Return a socket bound to a port of this machine only; 0 is any free one.

    Raises:
        OSError: the port is taken, or not allowed.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


def run() -> None:
    """Run the installed command and end the process with its exit code."""
    run_command(main)


if __name__ == "__main__":
    run()
