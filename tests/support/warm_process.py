"""Python programs in processes of their own, which begin with torch imported: it takes seconds.

One process imports it, and forks another for each program. What is ours is imported anew there,
and streams, signals, environment and exit are those of a process that was started by itself.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
PATIENCE = 120.0  # seconds
NUMBER = struct.Struct("q")


class WarmProcess:
    """A program that runs; as subprocess.Popen, but for what is not used here."""

    def __init__(self, pid: int, status: socket.socket, pipes: dict[str, IO[Any]]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = (
            pipes.get(name) for name in ("stdin", "stdout", "stderr")
        )
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code, -N if signal N has ended it; None as long as it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = os.waitstatus_to_exitcode(receive(self._status))
            self._status.close()
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, content: Any = None, timeout: float = PATIENCE) -> tuple[Any, Any]:
        """Write to standard input and close it; return all of both streams after the end."""
        with ThreadPoolExecutor(3) as pool:
            if self.stdin:
                pool.submit(self._write, content)
            streams = self.stdout, self.stderr
            reads = [pool.submit(stream.read) if stream else None for stream in streams]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            found = [read.result() if read else None for read in reads]
        for stream in filter(None, streams):
            stream.close()
        return found[0], found[1]

    def _write(self, content: Any) -> None:
        assert self.stdin
        with suppress(BrokenPipeError), self.stdin as stream:
            stream.write(content or stream.read(0))


def start(
    arguments: Sequence[object],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    text: bool = True,
    **streams: Any,
) -> Any:
    """Start a Python program: a script or -c and code, and its arguments.

    Args:
        arguments: of the interpreter.
        cwd: the working directory; by default this process's.
        env: the environment; by default this process's.
        text: whether streams are of text.
        streams: stdin, stdout and stderr, as for subprocess.Popen; both outputs are pipes.

    Returns:
        A WarmProcess, or where files cannot be sent to processes, a subprocess.Popen.
    """
    words = [os.fsdecode(each) if isinstance(each, Path) else str(each) for each in arguments]
    streams = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE} | streams
    if not hasattr(socket, "send_fds"):
        return subprocess.Popen([sys.executable, *words], cwd=cwd, env=env, text=text, **streams)
    pipes: dict[str, IO[Any]] = {}
    with ExitStack() as stack:
        theirs = []
        for name, mode in (("stdin", "w"), ("stdout", "r"), ("stderr", "r")):
            given = streams[name]
            if given == DEVNULL:
                given = stack.enter_context(Path(os.devnull).open("r+b"))
            if given == PIPE:
                ends = os.pipe()
                theirs.append(ends[mode == "r"])
                stack.callback(os.close, theirs[-1])
                pipes[name] = os.fdopen(ends[mode == "w"], mode if text else f"{mode}b")
            else:
                theirs.append(given.fileno())
        environment = dict(os.environ if env is None else env)
        request = {"arguments": words, "cwd": str(cwd or Path.cwd()), "env": environment}
        file = stack.enter_context(tempfile.TemporaryFile())
        file.write(json.dumps(request).encode())
        file.seek(0)
        status, its_status = socket.socketpair()
        stack.callback(its_status.close)
        fds = [file.fileno(), *theirs, its_status.fileno()]
        socket.send_fds(server(), [b"r"], fds)
    return WarmProcess(receive(status), status, pipes)


def run(arguments: Sequence[object], content: Any = None, **options: Any) -> Any:
    """Run a program as `start` does; return what subprocess.run returns."""
    if content is not None:
        options["stdin"] = PIPE
    process = start(arguments, **options)
    out, err = process.communicate(content)
    return subprocess.CompletedProcess([*map(str, arguments)], process.wait(), out, err)


@cache
def server() -> socket.socket:
    """Return the socket of the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=PIPE,  # Python looks once whether its streams can seek; no program's may
            stdout=PIPE,
            stderr=PIPE,
        )
    atexit.register(process.wait, PATIENCE)
    atexit.register(ours.close)  # is called first
    return ours


def receive(status: socket.socket) -> int:
    """Return the next number that a process of the server has sent."""
    (number,) = NUMBER.unpack(status.recv(NUMBER.size, socket.MSG_WAITALL))
    return number


def serve(control: socket.socket) -> list[str]:
    """Fork a process for each request; return its arguments in that process, and never in this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _, fds, _, _ = socket.recv_fds(control, 1, 5)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not fds:
            os._exit(0)
        if os.fork():
            for fd in fds:
                os.close(fd)
            continue
        control.close()
        if program := os.fork():  # this process tells how that one ends
            with socket.socket(fileno=fds[4]) as status:
                for fd in fds[:4]:
                    os.close(fd)
                status.send(NUMBER.pack(program))
                status.send(NUMBER.pack(os.waitpid(program, 0)[1]))
            os._exit(0)
        with os.fdopen(fds[0]) as file:
            request = json.load(file)
        for number, fd in enumerate(fds[1:4]):
            os.dup2(fd, number)
        for fd in fds[1:]:
            os.close(fd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        tempfile.tempdir = None  # as the environment says
        return request["arguments"]


def main() -> None:
    """Import what takes long, and wait for requests."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path.pop(0)
    for name in ("PIL.Image", "numpy", "torch"):
        importlib.import_module(name)
    script, *rest = serve(control)
    if script == "-c":
        code, *rest = rest
        sys.argv = ["-c", *rest]
        sys.path.insert(0, "")
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [script, *rest]
        sys.path.insert(0, str(Path(script).absolute().parent))
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
