"""cli.py: what is written while others write too."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from colourizer.runtime.cli import UsageError, one_line, print_error, print_note, print_result

ROOT = Path(__file__).parents[2]


class Recorder(io.StringIO):
    """Keeps what it is given piece by piece, as a file does that is not buffered."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces += [text] if text else []
        return super().write(text)


def test_a_name_does_not_command_the_terminal():
    assert one_line("a\x1b[31m\x9bb\nc\td: no\r\n such file\x7f") == "a?[31m?b c\td: no such file?"


@pytest.mark.parametrize(
    ("stream", "say", "expected"),
    [
        ("stdout", lambda: print_result("a.png"), "a.png\n"),
        ("stderr", lambda: print_error("a.png: torn", "copy it again"),
         "error: a.png: torn\nhint: copy it again\n"),
        ("stderr", lambda: print_note("skipped: a.png"), "skipped: a.png\n"),
    ],
    ids=["result", "error", "note"],
)  # fmt: skip
def test_a_line_is_written_with_its_end_so_that_processes_do_not_join_theirs(
    monkeypatch, stream, say, expected
):
    file = Recorder()
    monkeypatch.setattr(f"sys.{stream}", file)
    say()
    assert file.pieces == [expected]


def test_what_has_several_lines_is_said_in_one(capsys):
    error = UsageError("film.avi: not of this size.\nValid sizes are:\n  128x96\n", "a\r\nb")
    print_error(error, "c")
    print_note("note: new\nline.png: cut off")
    error, *others = capsys.readouterr().err.splitlines()
    assert error == "error: film.avi: not of this size. Valid sizes are: 128x96"
    assert others == ["hint: a b", "hint: c", "note: new line.png: cut off"]


def test_a_result_that_stdout_has_no_letters_for_is_printed_all_the_same(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    print_result("café 夜")
    assert written.getvalue() == "café \\u591c\n".encode("latin-1")


@pytest.mark.skipif(os.name != "posix", reason="closes streams as POSIX does")
@pytest.mark.parametrize("closed", [(0,), (2,), (1, 2), (0, 1, 2)])
def test_no_file_gets_the_number_of_a_stream_that_is_closed(tmp_path, closed):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from colourizer.runtime.cli import run_command\n"
        "def main():\n"
        "    with open(sys.argv[2], 'wb') as file:\n"
        "        os.write(2, b'a warning of a library')\n"
        "        return 0 if file.fileno() > 2 else 1\n"
        "run_command(main)"
    )

    def close() -> None:
        for number in closed:
            os.close(number)

    written = tmp_path / "a.jpg"
    command = [sys.executable, "-c", code, str(ROOT), str(written)]
    assert subprocess.run(command, preexec_fn=close, check=False).returncode == 0
    assert written.read_bytes() == b""
