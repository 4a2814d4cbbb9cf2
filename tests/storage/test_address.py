"""Address: names and joins like a path's, and no secret in what is printed."""

import pickle
from pathlib import Path, PurePosixPath

import pytest

from colourizer.storage.address import Address, hide_credentials, parse_location


def test_a_text_with_a_scheme_is_an_address_and_others_are_paths():
    assert parse_location("album/a.jpg") == Path("album/a.jpg")
    assert parse_location("file:///album/a.jpg") == Path("/album/a.jpg")
    assert parse_location("C:\\album") == Path("C:\\album")
    assert parse_location("S3://scans/album/") == Address("s3://", "scans/album")
    assert parse_location("memory:///a/b") == Address("memory://", "a/b")
    zipped = parse_location("zip://::s3://scans/old.zip")
    assert zipped == Address("zip://", "", "s3://scans/old.zip")
    assert (zipped / "a.jpg").url == "zip://a.jpg::s3://scans/old.zip"
    for outer in ("", "tar://b/c.tar::"):
        found = parse_location(f"zip://a.jpg::{outer}old.zip")
        assert str(found) == f"zip://a.jpg::{outer}{Path('old.zip').absolute()}"
    assert parse_location("s3://scans/a::b.jpg") == Address("s3://", "scans/a::b.jpg")


def test_two_schemes_of_one_storage_make_one_address():
    assert parse_location("s3a://scans/a.jpg") == parse_location("s3://scans/a.jpg")
    assert parse_location("gcs://scans/a.jpg") == parse_location("gs://scans/a.jpg")


def test_it_has_the_names_of_a_path():
    address = parse_location("s3://scans/album/aunt.tar.gz")
    assert (address.name, address.stem, address.suffix) == ("aunt.tar.gz", "aunt.tar", ".gz")
    assert address.parent == parse_location("s3://scans/album")
    assert str(address.with_name("b.jpg")) == "s3://scans/album/b.jpg"
    assert str(address.parent / PurePosixPath("b") / "") == "s3://scans/album/b"
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize(
    "text, shown",
    [
        ("sftp://anna:secret@host/a.jpg", "sftp://host/a.jpg"),
        ("https://secret@host/a.jpg?sig=secret", "https://host/a.jpg"),
        ("s3://key:secret@scans/a.jpg", "s3://scans/a.jpg"),
        ("zip://a.jpg::sftp://anna:se@cret@host/o.zip", "zip://a.jpg::sftp://host/o.zip"),
        ("abfs://scans@account.dfs.core.windows.net/a", "abfs://scans@account.dfs.core.windows.net/a"),
        ("abfs://scans:secret@account/a", "abfs://account/a"),
        ("s3://scans/a@b:c?d.jpg", "s3://scans/a@b:c?d.jpg"),
        ("zip://a@b/c.jpg::/old.zip", "zip://a@b/c.jpg::/old.zip"),
    ],
)  # fmt: skip
def test_what_is_printed_of_it_has_no_password_and_no_token(text, shown):
    address = parse_location(text)
    assert address.url == text
    assert (str(address), f"{address}", repr(address)) == (shown, shown, f"Address({shown!r})")
    assert hide_credentials(f"404: cannot open '{text}'") == f"404: cannot open '{shown}'"


def test_an_address_with_a_login_is_that_of_the_same_file_without():
    assert parse_location("sftp://anna:secret@host/a").without_credentials() == parse_location(
        "sftp://host/a"
    )
    assert parse_location("s3://scans/a@b?c").without_credentials() == Address(
        "s3://", "scans/a@b?c"
    )
