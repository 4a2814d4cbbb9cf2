"""file_versions.py: a note on a file holds as long as the file stays as it was."""

import os

import pytest

from colourizer.training import file_versions
from colourizer.training.file_versions import FileNotes, file_version


def noted(tmp_path):
    """Return a file with a note on it, and the notes as another process reads them."""
    file, notes = tmp_path / "file", FileNotes(tmp_path / "notes.json")
    file.write_bytes(b"content")
    notes.add(file, file_version(file), "key")
    notes.save()
    return file, FileNotes(tmp_path / "notes.json")


def test_a_note_is_found_again(tmp_path, monkeypatch):
    file, notes = noted(tmp_path)
    assert notes.get(file) == "key"
    monkeypatch.chdir(tmp_path)
    assert notes.get(file.relative_to(tmp_path)) == "key"
    assert notes.get(tmp_path / "other") is None


@pytest.mark.parametrize("change", ["size", "time", "replaced", "deleted"])
def test_a_file_that_changed_has_no_note(tmp_path, change):
    file, notes = noted(tmp_path)
    status = file.stat()
    if change == "size":
        file.write_bytes(b"content and more")
    elif change == "time":
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        file.rename(tmp_path / "old")
        if change == "replaced":  # by a file of the same size and time
            file.write_bytes(b"another")
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert notes.get(file) is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"FILE": 3}', '{"FILE": []}', "7"])
def test_damaged_notes_are_none(tmp_path, content):
    file, _ = noted(tmp_path)
    (tmp_path / "notes.json").write_text(content.replace("FILE", str(file)))
    assert FileNotes(tmp_path / "notes.json").get(file) is None


def test_a_file_that_has_just_changed_is_not_settled(tmp_path, monkeypatch):
    file, _ = noted(tmp_path)
    assert not file_version(file).is_settled()
    monkeypatch.setattr(file_versions, "CLOCK_STEP", 0)
    assert file_version(file).is_settled()


def test_names_that_are_no_text_are_kept(tmp_path):
    notes = FileNotes(tmp_path / "notes.json")
    file = tmp_path / os.fsdecode(b"\xff.jpg")
    try:
        file.write_bytes(b"")
    except OSError:
        pytest.skip("the file system refuses such names")
    notes.add(file, file_version(file), "key")
    notes.save()
    assert FileNotes(tmp_path / "notes.json").get(file) == "key"
