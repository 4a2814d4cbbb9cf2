"""stream_listing.py: which photographs a stream has, and where their results go."""

from pathlib import Path

from colourizer.film.container import is_film_name
from colourizer.inference import stream_listing
from colourizer.inference.output_plan import OutputOptions, find_all, is_same
from colourizer.inference.stream_listing import Listing, is_below, spell_as_listed, stream_photos
from colourizer.inference.stream_names import plan_alone
from colourizer.storage.address import parse_location
from colourizer.storage.listing import Listed


def test_a_key_never_leads_out_of_the_output_folder(tmp_path, monkeypatch):
    def list_odd_key(folder):
        yield Listed(folder / "a//b/../../c.jpg", "a//b/../../c.jpg", 1)

    monkeypatch.setattr(stream_listing, "iterate_files", list_odd_key)
    monkeypatch.setattr(stream_listing, "is_folder", lambda path: True)
    found = stream_photos([parse_location("memory://scans")], tmp_path, Listing())
    (job,) = (plan_alone(photo, OutputOptions(tmp_path)) for photo in found)
    assert job.coloured == [tmp_path / "a/%/b/%2E%2E/%2E%2E/c.jpg"]


def test_only_a_folder_that_is_missing_changes_where_results_of_others_go(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.jpg").touch()
    down = parse_location("what://down/album")
    for path, below in [
        (tmp_path / "none.jpg", "a.jpg"),
        (tmp_path / "none.mp4", "a.jpg"),
        (tmp_path / "none", "scans/a.jpg"),
        (down, "scans/a.jpg"),
    ]:
        paths, output = [tmp_path / "scans", path], tmp_path / "out"
        found = list(stream_photos(paths, output, Listing(), is_film_name))
        if path is not down:
            found += find_all(paths, output, is_film_name).photos
        assert {photo.below.as_posix() for photo in found} == {below}


def test_a_folder_with_a_login_is_the_same_one_without():
    folder, output = (parse_location(f"sftp://{host}/a") for host in ("anna:secret@host", "host"))
    assert is_below(folder / "b", output) and is_same(folder / "b", output / "b")
    assert not is_below(folder, output / "b")


def test_a_path_is_spelled_as_the_listing_of_its_folder_spells_it(tmp_path, monkeypatch):
    (tmp_path / "album" / "sub").mkdir(parents=True)
    (tmp_path / "album" / "sub" / "a.jpg").touch()
    (tmp_path / "album" / "link.jpg").symlink_to("sub/a.jpg")
    (tmp_path / "same").symlink_to("album")
    monkeypatch.chdir(tmp_path)

    def spell(text, named):
        return spell_as_listed(
            parse_location(text),
            parse_location(named),
            Path("out"),
            lambda name: name.suffix == ".film",
        )

    for text, named, spelled in [
        (f"{tmp_path}/album/sub/a.jpg", "album", "album/sub/a.jpg"),
        ("album/link.jpg", "album", "album/link.jpg"),
        ("same/sub/a.jpg", "album", "album/sub/a.jpg"),
        (f"{tmp_path}/same/sub/a.jpg", "album/sub/a.jpg", "album/sub/a.jpg"),
        ("sftp://host/a/b.jpg", "sftp://anna:secret@host/a", "sftp://anna:secret@host/a/b.jpg"),
        ("sftp://host/a", "sftp://anna:secret@host/a", "sftp://anna:secret@host/a"),
        ("album/.a.jpg", "album/.a.jpg", "album/.a.jpg"),
        ("zip://a.jpg::/.x/y.zip", "zip://::/.x/y.zip", "zip://a.jpg::/.x/y.zip"),
        ("s3://scans/../a.jpg", "s3://scans", "s3://scans/../a.jpg"),
        ("a.film", ".", "a.film"),
    ]:
        assert spell(text, named) == parse_location(spelled)
    for text, named in [
        ("a.jpg", "album"),
        ("a.jpg", "s3://album"),
        (".thumbnails/a.jpg", "."),
        ("album/.a.jpg", "album"),
        ("s3://scans/.thumbnails/a.jpg", "s3://scans"),
        ("s3://scans/letter.txt", "s3://scans"),
        ("out/a.jpg", "."),
    ]:
        assert spell(text, named) is None
