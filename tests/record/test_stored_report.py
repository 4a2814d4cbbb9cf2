"""stored_report.py: whenever a run is killed, its rows are in the storage, each once in the end."""

import errno
import json
import time
from contextlib import closing

import fsspec
import pytest

from colourizer.record import stored_report
from colourizer.record.report import Report, ReportError, read_rows
from colourizer.record.row import Row
from colourizer.record.stored_report import StoredReport, fetch_report
from colourizer.storage.address import parse_location
from colourizer.storage.connection import FullDiskError
from colourizer.storage.listing import Listed


@pytest.fixture(params=["report.jsonl", "report.parquet"])
def address(request, monkeypatch):
    """Of a report in an empty storage; parts are sent many times a second."""
    if request.param.endswith("parquet"):
        pytest.importorskip("pyarrow")
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    monkeypatch.setattr(stored_report, "SEND_SECONDS", 0.01)
    return parse_location(f"memory://reports/{request.param}")


def row(n: int, result: str = "colourized", **values) -> Row:
    return Row(f"s3://in/{n}.png", f"s3://out/{n}.png", result, **values)


def files() -> list[str]:
    return sorted(fsspec.filesystem("memory").find("/reports"))


def read(address, folder) -> list[Row]:
    folder.mkdir()
    return list(read_rows(fetch_report(address, folder)[0]))


def kill(report: StoredReport, parts: int) -> None:
    """End a report as the end of its process does, once its parts are sent."""
    end = time.monotonic() + 20
    while len(report._parts) < parts:
        assert time.monotonic() < end
        time.sleep(0.005)
    report._ended.set()
    report._sender.join()
    report._file.close()


def folders(tmp_path):
    """Yield new folders."""
    for n in range(100):
        (tmp_path / str(n)).mkdir()
        yield tmp_path / str(n)


def test_rows_of_a_killed_run_are_there_and_the_next_run_doubles_none(address, tmp_path):
    new = folders(tmp_path)
    killed = StoredReport(address, next(new))
    killed.write(row(1), row(2))
    while not killed._parts:
        time.sleep(0.005)
    killed.write(row(3))
    kill(killed, 2)
    assert read(address, tmp_path / "copy") == [row(1), row(2), row(3)]
    with closing(StoredReport(address, next(new))) as report:
        report.write(row(2, "skipped"), row(3, seconds=2.0), row(4))
    assert files() == [f"/reports/{address.name}"]
    assert read(address, tmp_path / "copy2") == [row(1), row(2), row(3, seconds=2.0), row(4)]


def test_a_run_that_is_killed_before_it_removes_its_parts_is_merged_once(
    address, tmp_path, monkeypatch
):
    new = folders(tmp_path)
    killed = StoredReport(address, next(new))
    killed.write(row(1, "failed"))
    kill(killed, 1)
    with monkeypatch.context() as patch:
        patch.setattr(stored_report, "remove_files", lambda *_: None)
        patch.setattr(stored_report, "SEND_SECONDS", 100.0)
        report = StoredReport(address, next(new))
        report.write(row(1), row(2))
        report.close()
    assert len(files()) == 3
    with closing(StoredReport(address, next(new))):
        pass
    assert files() == [f"/reports/{address.name}"]
    assert read(address, tmp_path / "copy") == [row(1), row(2)]


@pytest.mark.parametrize("first", [0, 1])
def test_rows_of_two_runs_at_the_same_time_are_kept(address, tmp_path, monkeypatch, first, capsys):
    monkeypatch.setattr(stored_report, "SEND_SECONDS", 100.0)
    new = folders(tmp_path)
    with closing(StoredReport(address, next(new))) as report:
        report.write(row(0))
    reports = [StoredReport(address, next(new)) for _ in range(2)]
    for n, report in enumerate(reports, 1):
        report.write(row(n))
        report._send_part()
        report.write(row(n + 10))
    for report in (reports[first], reports[1 - first]):
        report.close()
    assert "another run has written to it" in capsys.readouterr().err
    wanted = {0, 1, 2, 11, 12}
    assert {kept.source for kept in read(address, tmp_path / "copy")} == {
        row(n).source for n in wanted
    }
    with closing(StoredReport(address, next(new))):
        pass
    assert files() == [f"/reports/{address.name}"]
    assert len(read(address, tmp_path / "copy2")) == len(wanted)


def test_a_part_that_another_run_has_removed_meanwhile_is_passed_over(
    address, tmp_path, monkeypatch
):
    def list_removed(folder):
        yield Listed(folder / "0.jsonl", "0.jsonl", 1)

    monkeypatch.setattr(stored_report, "iterate_files", list_removed)
    with closing(StoredReport(address, tmp_path)) as report:
        report.write(row(1))
    assert files() == [f"/reports/{address.name}"]


def test_a_report_to_which_nothing_is_added_is_not_sent_again(address, tmp_path, monkeypatch):
    new = folders(tmp_path)
    with closing(StoredReport(address, next(new))) as report:
        report.write(row(1))
    monkeypatch.setattr(stored_report, "send_file", None)
    with closing(StoredReport(address, next(new))) as report:
        report.write(row(1, "skipped"))
    assert files() == [f"/reports/{address.name}"]


def test_a_full_local_disk_is_named_and_the_rows_that_were_sent_stay(
    address, tmp_path, monkeypatch
):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    report = StoredReport(address, tmp_path)
    report.write(row(1))
    monkeypatch.setattr(Report, "write", fail)
    with pytest.raises(FullDiskError, match=f"the disk of {tmp_path.parent} is full"):
        report.write(row(2))
    monkeypatch.setattr("colourizer.record.report.compact", fail)
    with pytest.raises(FullDiskError, match=f"the disk of {tmp_path.parent} is full"):
        report.close()
    assert read(address, tmp_path / "copy") == [row(1)]


def test_what_is_no_report_is_named_by_its_address(tmp_path):
    address = parse_location("memory://reports/notes.jsonl")
    fsspec.filesystem("memory").pipe_file("/reports/notes.jsonl", json.dumps([1]).encode() + b"\n")
    with pytest.raises(ReportError, match=f"^{address}: line 1 is not a row of a report"):
        StoredReport(address, tmp_path)
