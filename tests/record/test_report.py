"""report.py: what was written is read again, once for each output, however a run ended."""

import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support import warm_process
from support.scenes import ROOT

from colourizer.record import report as report_file
from colourizer.record.report import Report, ReportError, read_rows
from colourizer.record.row import Row, Settings

SETTINGS = Settings(
    "ab" * 32, 0.6, -0.5, 1.25, 2, "1,2,#ff0000", "cd" * 32, True, "cuda", "bfloat16"
)
ODD = os.fsdecode(b"/in/gro\xdf.png")  # no UTF-8


def row(n: int, result: str = "colourized", **values) -> Row:
    settings = Settings("ab" * 32, 0.6)
    output = f"/out/{n}.png"
    return Row(f"/in/{n}.png", output, result, settings=settings, source_bytes=n, **values)


@pytest.fixture(params=["report.jsonl", "report.parquet"])
def path(request, tmp_path) -> Path:
    if request.param.endswith("parquet"):
        pytest.importorskip("pyarrow")
    return tmp_path / "below" / request.param


def write(path: Path, *rows: Row) -> None:
    with closing(Report(path)) as report:
        for each in rows:
            report.write(each)


def test_all_that_a_row_says_is_read_again(path):
    full = Row(
        *(
            ODD,
            "s3://out/ü\n.png",
            "colourized",
            "reason",
            "note",
            "confidence",
            "e" * 64,
            "f" * 64,
        ),
        *(2**40, 7, "8 bits", 0.5, 1.25, "2.0.0", SETTINGS),
    )
    bare = Row("a", "b", "failed", settings=Settings())
    write(path, full, bare)
    assert list(read_rows(path)) == [full, bare]
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no journal is left


def test_a_second_run_replaces_rows_and_doubles_none(path):
    write(path, row(1), row(2, "failed"), row(3))
    write(path, row(2), row(4), replace(row(3), source_bytes=33))
    rows = list(read_rows(path))
    assert sorted(rows, key=lambda each: each.source) == [
        *(row(1), row(2), replace(row(3), source_bytes=33), row(4))
    ]


def test_what_was_there_or_was_stopped_does_not_replace_what_was_done(path):
    write(path, row(1), row(2), row(3, "stopped"))
    write(path, row(1, "skipped"), row(2, "stopped"), row(3, "skipped"), row(4, "skipped"))
    results = {each.source: each.result for each in read_rows(path)}
    assert results == {
        "/in/1.png": "colourized",
        "/in/2.png": "colourized",
        "/in/3.png": "skipped",
        "/in/4.png": "skipped",
    }


def test_a_run_that_finds_all_done_leaves_the_report_as_it_was(path):
    write(path, row(1), row(2, "failed"), row(3, "skipped"))
    before = path.stat()
    write(path, row(1, "skipped"), row(2, "stopped"), row(3, "skipped"))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_variants_of_one_scan_have_a_row_each(path):
    variants = [replace(row(1), output=f"/out/1_{n}.png") for n in range(3)]
    write(path, *variants)
    write(path, *variants)
    assert list(read_rows(path)) == variants


def test_what_earlier_runs_recorded_can_be_asked_for(path):
    write(path, row(1), row(2), replace(row(3, "failed"), settings=SETTINGS))
    with closing(Report(path)) as report:
        found = report.before.find("/in/3.png", "/out/3.png")
        assert (found.result, found.settings, found.source_bytes) == ("failed", SETTINGS, 3)
        assert report.before.find("/in/1.png", "/out/1.png").settings == row(1).settings
        assert report.before.find("/in/1.png", "/out/2.png") is None
        assert len(report.before) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_run_leaves_all_its_rows_and_the_next_goes_on(path):
    write(path, row(1), row(2))
    code = (
        "import os, signal, sys; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path\n"
        "from record.test_report import Report, row\n"
        "report = Report(Path(sys.argv[3]))\n"
        "for n in (2, 3, 4): report.write(row(n, note='again'))\n"
        'report._file.write(b\'{"source": "/in/5\'); report._file.flush()\n'
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = warm_process.run(["-c", code, ROOT, ROOT / "tests", path])
    assert done.returncode == -signal.SIGKILL, done.stderr
    rows = list(read_rows(path))
    assert rows == [row(1), row(2), *(row(n, note="again") for n in (2, 3, 4))]
    write(path, row(5))
    assert {each.source: each.note for each in read_rows(path)} == {
        "/in/1.png": "", **{f"/in/{n}.png": "again" for n in (2, 3, 4)}, "/in/5.png": ""
    }  # fmt: skip
    assert len(list(read_rows(path))) == 5


def test_a_run_that_adds_nothing_makes_a_report_all_the_same(path):
    write(path)
    assert path.exists()
    assert list(read_rows(path)) == []


def test_a_report_that_another_run_writes_to_is_refused(path):
    pytest.importorskip("fcntl")
    with closing(Report(path)), pytest.raises(ReportError, match="another run writes to it"):
        Report(path)
    write(path, row(1))


@pytest.mark.parametrize(
    "content",
    [b"dear aunt Mary", b"dear aunt Mary\n", b"[1]\n", b'{"source": "a"}\n', b"\xff\xfe\n"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_what_is_no_report_is_refused_and_left_alone(tmp_path, name, content):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReportError, match="not a") as error:
        Report(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert (tmp_path / name).read_bytes() == content
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "report.jsonl"
    write(path, row(1), row(2), row(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b'"', b"?", 1) + lines[2])
    damaged: list[str] = []
    assert list(read_rows(path, damaged)) == [row(1), row(3)]
    assert damaged == [f"{path}: line 2 is not a row of a report"]


@pytest.mark.parametrize("torn", [b'{"source": "/in/', b"\0" * 100], ids=["killed", "power cut"])
def test_a_torn_last_line_is_named_and_the_next_run_goes_on_before_it(tmp_path, torn):
    path = tmp_path / "report.jsonl"
    write(path, row(1), row(2))
    with path.open("ab") as file:
        file.write(torn)
    damaged: list[str] = []
    assert list(read_rows(path, damaged)) == [row(1), row(2)]
    assert damaged == [f"{path}: line 3 is not complete"]
    write(path, row(3))
    assert list(read_rows(path, damaged)) == [row(1), row(2), row(3)]
    assert len(damaged) == 1


def test_parquet_without_its_package_is_said_with_a_hint(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReportError, match="needs the package pyarrow") as error:
        Report(tmp_path / "report.parquet")
    assert error.value.__notes__ == [
        "hint: pip install pyarrow, or name a file that ends in .jsonl"
    ]
    assert list(tmp_path.iterdir()) == []


def test_parquet_has_a_column_for_each_value_and_several_row_groups(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(report_file, "ROW_GROUP", 4)
    path = tmp_path / "report.parquet"
    write(path, *(row(n) for n in range(10)))
    table = parquet.read_table(path)
    assert set(table.column_names) == set(row(1).as_dict())
    assert table.column("vividness").to_pylist() == [0.6] * 10
    assert parquet.ParquetFile(path).num_row_groups == 3


def test_lines_are_plain_json_that_other_programs_read(tmp_path):
    write(tmp_path / "report.jsonl", row(7))
    (values,) = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    assert (values["source"], values["output"]) == ("/in/7.png", "/out/7.png")
    assert (values["network"], values["vividness"], values["variant"]) == ("ab" * 32, 0.6, 1)


def test_a_long_report_is_never_held_in_memory():
    """In a process of its own: connections of other tests may still be at work in this one."""
    code = (
        "import sys, tracemalloc; sys.path[:0] = sys.argv[1:3]\n"
        "from colourizer.record.row_index import RowIndex\n"
        "from record.test_report import row\n"
        "tracemalloc.start()\n"
        "index = RowIndex(row(n) for n in range(20_000))\n"
        "print(*tracemalloc.get_traced_memory(), len(index))"
    )
    done = warm_process.run(["-c", code, ROOT, ROOT / "tests"])
    kept, most, count = map(int, done.stdout.split())
    assert count == 20_000
    assert kept < 40 * 20_000  # bytes; a row has hundreds
    assert most < 70 * 20_000
