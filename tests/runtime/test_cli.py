"""cli.py: what is written while others write too."""

import io

import pytest

from colourizer.runtime.cli import print_error, print_note, print_result


class Recorder(io.StringIO):
    """Keeps what it is given piece by piece, as a file does that is not buffered."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces += [text] if text else []
        return super().write(text)


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


def test_a_result_that_stdout_has_no_letters_for_is_printed_all_the_same(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    print_result("café 夜")
    assert written.getvalue() == "café \\u591c\n".encode("latin-1")
