"""colourize.py from and to storages: what is there in the end, and what is said."""

import io
import json
import os
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import pytest
from botocore.retries import standard
from PIL import ExifTags, Image
from support.s3_server import s3_buckets
from support.scenes import scene
from support.sidecar import XMP

from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.record.tag import read_tag
from colourizer.runtime.cli import list_hints
from colourizer.storage import connection, files
from colourizer.storage.address import parse_location


@pytest.fixture
def memory():
    """The storage memory://, empty."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    return storage


@pytest.fixture(scope="module")
def s3():
    """Yields (store that can fail, s3fs, bucket)."""
    with s3_buckets() as buckets:
        yield buckets


def encoded(seed: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    scene(seed).save(file, kind)
    return file.getvalue()


def fill(storage, folder: str, count: int) -> None:
    for n in range(count):
        storage.pipe_file(f"{folder}/{'sub/' * (n % 2)}photo{n}.png", encoded(n))


def read_all(storage, folder: str) -> dict[str, bytes]:
    return {name.removeprefix(folder): storage.cat_file(name) for name in storage.find(folder)}


def test_a_storage_s_folder_comes_back_in_colour_with_its_subfolders(memory, run):
    fill(memory, "/scans", 4)
    memory.pipe_file("/scans/letter.jpg", b"dear aunt Mary")
    memory.pipe_file("/scans/.thumbnails/a.png", encoded(1))
    memory.pipe_file("/scans/layers.psd", b"")
    code, out, err = run("memory://scans/", "-o", "memory://out")
    assert code == 1
    assert out == [f"memory://out/{name}" for name in
                   ("photo0.png", "photo2.png", "sub/photo1.png", "sub/photo3.png")]  # fmt: skip
    assert "error: memory://scans/letter.jpg: not an image" in err
    assert "4 colourized, 0 skipped, 1 failed" in err
    assert "left out: 1 file of a format that is not read (.psd)" in err
    for content in read_all(memory, "/out").values():
        with Image.open(io.BytesIO(content)) as image:
            assert (image.mode, image.size) == ("RGB", (64, 48))
    before = read_all(memory, "/out")
    assert "0 colourized, 4 skipped, 1 failed" in run("memory://scans", "-o", "memory://out")[2]
    assert read_all(memory, "/out") == before


def test_a_hint_in_another_spelling_of_its_path_is_used(memory, run, tmp_path, monkeypatch):
    scene(0).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    assert run(".", "-o", "memory://out", "--hint", f"{tmp_path}/photo.png:9,9,#ff0000")[0] == 0
    tag = read_tag(io.BytesIO(memory.cat_file("/out/photo.png")))
    assert tag.settings.hints == "9,9,#ff0000"


def test_a_dry_run_names_the_files_that_are_written_then(memory, run):
    fill(memory, "/scans", 2)
    memory.pipe_file("/scans/a.gif", encoded(3, "GIF"))
    options = ("memory://scans", "-o", "memory://out", "--compare", "--confidence", "--variants", 2)
    planned = run(*options, "--dry-run")[1]
    assert memory.find("/out") == []
    code, lines, _ = run(*options, "--json")
    assert code == 0
    with Image.open(io.BytesIO(memory.cat_file("/out/contact_sheet.jpg"))) as sheet:
        assert sheet.size == (960, 480)  # three photographs, each in grey and in colour
    memory.rm("/out/contact_sheet.jpg")
    written = [file for line in lines for file in json.loads(line)["files"]]
    assert sorted(written) == sorted(planned)
    assert sorted(f"memory:/{name}" for name in memory.find("/out")) == sorted(planned)
    assert "memory://out/a.gif.png_compared.jpg" in planned


def test_a_run_with_other_settings_says_so_if_there_is_a_report(memory, run, tmp_path):
    fill(memory, "/scans", 2)
    options = ("memory://scans", "-o", "memory://out", "--report", tmp_path / "report.jsonl")
    run(*options)
    made = f"made with vividness {DEFAULT_VIVIDNESS}, not 0.3"
    said = f"hint: skipped: 2 there already in memory://out, {made};"
    assert said in run(*options, "--vividness", 0.3)[2]
    assert "2 there already in memory://out; --overwrite does them again" in run(*options)[2]


def test_update_does_a_scan_of_a_wrong_clock_once(memory, run, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for n, seconds in enumerate((-5, 1e7)):
        (scans / f"photo{n}.png").write_bytes(encoded(n))
        os.utime(scans / f"photo{n}.png", (time.time() + seconds,) * 2)
    options = (scans, "-o", "memory://out", "--update")
    assert len(run(*options)[1]) == 2
    assert run(*options)[1] == []
    in_time = time.time_ns() + 10**10
    os.utime(scans / "photo0.png", ns=(in_time, in_time))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time_ns", lambda: 2 * 10**10 + in_time)
        assert run(*options)[1] == ["memory://out/photo0.png"]


def test_a_contact_sheet_that_is_not_ours_is_left_alone_and_the_run_says_so(memory, run):
    fill(memory, "/scans", 1)
    memory.pipe_file("/out/contact_sheet.jpg", encoded(1, "JPEG"))
    code, _, err = run("memory://scans", "-o", "memory://out", "--compare")
    assert code == 1
    assert "error: memory://out/contact_sheet.jpg: is not ours and was left alone" in err
    assert memory.cat_file("/out/contact_sheet.jpg") == encoded(1, "JPEG")


def test_sidecars_go_along_and_those_of_a_turned_photograph_no_longer_turn_it(
    memory, tmp_path, run
):
    fill(memory, "/scans", 1)
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    scene(1).save(turned, "JPEG", exif=exif.tobytes())
    memory.pipe_file("/scans/a.jpg", turned.getvalue())
    memory.pipe_file("/scans/a.xmp", XMP)
    memory.pipe_file("/scans/photo0.png.xmp", XMP)
    assert run("memory://scans", "-o", "memory://out")[0] == 0
    assert memory.cat_file("/out/photo0.png.xmp") == XMP
    assert memory.cat_file("/out/a.xmp") == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    assert run("memory://scans/photo0.png", "-o", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "photo0.png.xmp").read_bytes() == XMP
    assert run(tmp_path / "out", "-o", "memory://again", "--overwrite")[0] == 0
    assert len(memory.find("/out")) == 4


def test_an_archive_is_read_and_a_folder_written(tmp_path, run):
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.writestr("1931/aunt.png", encoded(0))
    code, out, _ = run(f"zip://::{tmp_path}/old.zip", "-o", tmp_path / "out")
    assert (code, out) == (0, [str(tmp_path / "out" / "1931" / "aunt.png")])
    code, _, err = run(tmp_path / "out", "-o", f"zip://::{tmp_path}/old.zip")
    assert code == 2
    assert "cannot be written to (files there can only be read)" in err


@pytest.mark.parametrize(
    "args, message",
    [
        (["memory://nowhere"], "error: memory://nowhere: no such file or folder"),
        (["memory://out"], "is where the photographs are"),
        (["memory://out/below"], "memory://out: is where the photographs are"),
        (["s3://"], "error: s3://: names no bucket\nhint: an address is s3://BUCKET/FOLDER"),
        (["zip://old.zip"], "names no archive\nhint: an address is zip://FOLDER::ARCHIVE"),
        (["what://scans"], "no storage is known by what://"),
        (["memory://scans", "memory://scans/photo0.png"], "folders here, not both"),
        (["memory://scans/a/x.png", "memory://scans/b/x.png"], "x.png: is the name of two paths"),
        (["memory://scans", "--hint", "3,4,#ff0000"], "--hint: is for one photograph alone"),
        (["memory://scans", "--hint", "x.png:3,4,#ff0000"], "--hint x.png: no such photograph"),
        (["memory://scans", "--hint", "memory://scans/y.png:3,4,#ff0000"], "no such photograph"),
        (["memory://scans/a", "--hint", "memory://scans/b/x.png:3,4,#ff0000"], "by its whole"),
        (["memory://scans", "--hint", "memory://scans/.b/x.png:3,4,#ff0000"], "no such photograph"),
        (["memory://scans", "--ray", "local"], "memory:// is within one process"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(memory, run, args, message):
    fill(memory, "/scans", 2)
    memory.pipe_file("/scans/a/x.png", encoded(0))
    memory.pipe_file("/scans/b/x.png", encoded(0))
    memory.pipe_file("/scans/.b/x.png", encoded(0))
    memory.mkdir("/out/below")
    code, out, err = run(*args, "-o", "memory://out")
    assert (code, out) == (2, [])
    assert message in err


@pytest.mark.parametrize(
    "address, said, package, install",
    [
        ("s3://scans", "Install s3fs to access S3", "s3fs", '-e ".[cluster]"'),
        ("sftp://scans", 'SFTPFileSystem requires "paramiko" to be installed', *["paramiko"] * 2),
        ("gs://scans", "Please install gcsfs to access Google Storage", *["gcsfs"] * 2),
        (
            "web://scans",
            'requires "requests" and "aiohttp" to be installed',
            "requests and the package aiohttp",
            "requests aiohttp",
        ),
    ],
)
def test_a_storage_without_its_package_says_what_to_install(
    address, said, package, install, run, tmp_path, monkeypatch
):
    def missing(_: str) -> None:
        raise ImportError(said)

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    connection._open.cache_clear()
    code, _, err = run(address, "-o", tmp_path / "out")
    assert code == 2
    scheme = address.removesuffix("scans")
    needs = f"error: {address}: {scheme} needs the package {package}"
    assert f"{needs}\nhint: pip install {install}\n" in err


def test_no_message_and_no_file_has_the_password_of_an_address(run, tmp_path, monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError("cannot reach ftp://anna:secret@host/scans")

    monkeypatch.setattr(fsspec, "url_to_fs", refuse)
    connection._open.cache_clear()
    code, _, err = run("ftp://anna:secret@host/scans", "-o", tmp_path / "out")
    assert code == 2
    assert "error: ftp://host/scans: cannot reach ftp://host/scans" in err
    assert "secret" not in err


@pytest.fixture
def web(tmp_path):
    """The address of a web server, with two photographs in a folder and a link to elsewhere."""
    (tmp_path / "web" / "scans" / "sub").mkdir(parents=True)
    for n, name in enumerate(("a.png", "sub/b.png")):
        (tmp_path / "web" / "scans" / name).write_bytes(encoded(n))
    (tmp_path / "web" / "index.html").write_text("<a href='/scans/'>all</a>")
    handler = partial(QuietHandler, directory=str(tmp_path / "web"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Files of a folder; those named so may not be read."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def send_head(self):
        """Refuse what is secret."""
        if "forbidden" in self.path:
            self.send_error(403)
            return None
        return super().send_head()


def test_photographs_of_a_web_server_are_read_and_none_is_written(web, run, tmp_path):
    code, out, err = run(f"{web}/scans/", "-o", tmp_path / "out")
    assert (code, len(out)) == (0, 2), err
    assert (tmp_path / "out" / "sub" / "b.png").exists()
    report = tmp_path / "report.jsonl"
    signed = f"{web}/scans/a.png?signature=sec/ret"
    code, out, err = run(signed, "-o", tmp_path / "signed", "--report", report)
    assert (code, out) == (0, [str(tmp_path / "signed" / "a.png")]), err
    assert "sec/ret" not in report.read_text() + err
    for address, said in (
        (f"{web}/scans/forbidden.png", "403"),
        (f"{web}/scans/none.png", "no such file or folder"),
        ("http://127.0.0.1:1/a.png", "annot connect"),
    ):
        code, _, err = run(address, "-o", tmp_path / "out")
        assert (code, said in err) == (2, True), err
    code, _, err = run(tmp_path / "web", "-o", f"{web}/out")
    assert (code, "files there can only be read" in err) == (2, True)


def test_s3_that_fails_throttles_and_breaks_off_gets_every_scan_once_and_whole(
    s3, run, monkeypatch
):
    # As often as ever, but without waiting in between.
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    store, storage = s3
    fill(storage, "scans/1931", 12)
    storage.pipe_file("scans/1931/a.gif", encoded(3, "GIF"))
    run("s3://scans/1931", "-o", "s3://colour/well")
    store.rates = {"slow down": 0.15, "internal": 0.15, "cut": 0.1}
    store.counts.clear()
    try:
        code, out, err = run("s3://scans/1931", "-o", "s3://colour/badly")
    finally:
        store.rates = {}
    assert (code, len(out), len(set(out))) == (0, 13, 13), err
    assert read_all(storage, "colour/badly") == read_all(storage, "colour/well")
    assert min(store.counts[name] for name in ("slow down", "internal")) > 0
    # One look for the result, one read, one write each; one listing; two to try the bucket.
    assert store.counts["PUT"] >= 13


def test_s3_is_asked_no_more_than_needed(s3, run):
    store, storage = s3
    fill(storage, "scans/few", 4)
    store.counts.clear()
    assert run("s3://scans/few", "-o", "s3://colour/few")[0] == 0
    # HEAD: is the result there; of the folder; may that be asked. GET: photographs, listings.
    wanted = {"HEAD": 4 + 2, "GET": 4 + 2, "PUT": 4, "POST": 1, "DELETE": 1}
    assert dict(store.counts) == wanted
    store.counts.clear()
    assert run("s3://scans/few", "-o", "s3://colour/few")[0] == 0
    assert dict(store.counts) == {"HEAD": 6, "GET": 2, "POST": 1, "DELETE": 1}


def test_a_large_file_at_an_address_is_read_in_blocks(s3, run, tmp_path, monkeypatch):
    fill(s3[1], "scans/large", 1)
    options = ("s3://scans/large", "-o", "s3://colour/large", "--report", tmp_path / "report.jsonl")
    assert run(*options)[0] == 0
    monkeypatch.setattr(files, "LARGE", 10)
    monkeypatch.setattr(files, "read_bytes", None)
    assert run("--verify", tmp_path / "report.jsonl")[2] == "1 outputs: 1 as recorded\n"
    code, out, _ = run(*options[:3], "--update", "--dry-run", "--vividness", 0.1)
    assert (code, out) == (0, ["s3://colour/large/photo0.png"])


def test_a_bucket_that_is_not_there_or_what_is_no_file_is_bad_usage(s3, run, tmp_path):
    fill(s3[1], "scans/some", 1)
    code, _, err = run("s3://scans/some", "-o", "s3://none/x")
    assert code == 2
    assert "error: -o s3://none/x: cannot be written to (no such bucket" in err
    assert "\nhint: an address is s3://BUCKET/FOLDER" in err
    code, _, err = run("s3://none/x", "-o", tmp_path)
    assert code == 2
    assert "error: s3://none/x: no such bucket\nhint: an address is" in err
    for place in ("s3://scans", "s3://scans/some/"):
        code, _, err = run("s3://scans/some", "-o", tmp_path, "--report", place)
        assert code == 2
        assert f"error: --report {place.rstrip('/')}: is a folder\nhint: name a file in it" in err


def test_keys_of_any_characters_come_back_and_are_found_again(s3, run):
    _, storage = s3
    names = ["a b", "a#b", "a?b", "a%20b", "ü", "a+b&c=d", "a::b", "a*b", "a[1]", "{x}", "@", "'\""]
    for name in names:
        storage.call_s3("put_object", Bucket="scans", Key=f"odd/{name}.png", Body=encoded(0))
    options = ("s3://scans/odd", "-o", "s3://colour/odd", "--report", "s3://colour/odd.jsonl")
    code, out, err = run(*options)
    assert (code, sorted(out)) == (0, sorted(f"s3://colour/odd/{n}.png" for n in names)), err
    listed = storage.call_s3("list_objects_v2", Bucket="colour", Prefix="odd")["Contents"]
    keys = {item["Key"] for item in listed}
    assert keys == {"odd.jsonl", *(f"odd/{name}.png" for name in names)}
    assert run("--verify", "s3://colour/odd.jsonl")[2] == "12 outputs: 12 as recorded\n"
    assert f"0 colourized, {len(names)} skipped" in run(*options)[2]
    for name in ("a?b", "a::b", "a*b"):
        assert "1 colourized" in run(f"s3://scans/odd/{name}.png", "-o", f"s3://colour/{name}")[2]


def test_a_storage_that_refuses_is_said_with_a_hint_and_without_credentials(s3, run, tmp_path):
    store, storage = s3
    fill(storage, "scans/some", 1)
    scene(0).save(tmp_path / "a.png")
    said = []
    store.rates = {"denied": 1.0}
    try:
        for args in (
            ("s3://scans/some", "-o", tmp_path / "out"),
            (tmp_path / "a.png", "-o", "s3://colour/x"),
            (tmp_path / "a.png", "-o", tmp_path / "out", "--report", "s3://colour/r.jsonl"),
            (tmp_path / "a.png", "-o", tmp_path / "out", "--reference", "s3://scans/a.png"),
            ("--verify", "s3://colour/r.jsonl"),
        ):
            code, out, err = run(*args)
            assert (code, out) == (2, []), err
            said.append(err)
    finally:
        store.rates = {}
    for err, place in zip(
        said,
        ("s3://scans/some", "-o s3://colour/x", "--report s3://colour/r.jsonl",
         "--reference s3://scans/a.png", "s3://colour/r.jsonl"),
        strict=True,
    ):  # fmt: skip
        first, second, *others = err.splitlines()
        assert first.startswith(f"error: {place}: ") and "access denied" in first
        assert second.startswith("hint: credentials: aws configure")
        assert not any(line.startswith(("error", "hint: cred")) for line in others)
        assert "tester" not in err and "not-a-secret" not in err


def test_a_name_that_is_no_text_is_refused_with_what_to_do(s3):
    address = parse_location("s3://colour/tante-gr\udcfcn.png")  # as paths of Latin-1 are read
    for look in (files.exists, partial(files.write_whole, content=b"")):
        with pytest.raises(connection.StorageError, match="its name is not UTF-8") as caught:
            look(address)
        assert list_hints(caught.value)


def test_a_login_that_expires_on_the_way_ends_the_run_and_the_next_goes_on(s3, run, monkeypatch):
    store, storage = s3
    fill(storage, "scans/hours", 12)
    sent = []

    def expire(method: str, path: str) -> str:
        sent.extend([path] if method == "PUT" else [])
        return "expired" if len(sent) >= 4 else ""

    with monkeypatch.context() as patch:
        patch.setattr(store, "refuses", expire)
        code, out, err = run("s3://scans/hours", "-o", "s3://colour/hours")
    assert code == 1
    said = [line for line in err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert len(said) == 3, err
    assert said[0].startswith("error: s3://scans/hours/")
    assert "the login has expired (The token has expired.)" in said[0]
    assert said[1].startswith("hint: credentials: aws configure")
    assert said[2] == "hint: log in again and run this again; it goes on where it stopped"
    assert "3 colourized, 0 skipped, 1 failed" in err
    whole = read_all(storage, "colour/hours")
    assert sorted(f"s3://colour/hours{name}" for name in whole) == sorted(out)
    code, _, err = run("s3://scans/hours", "-o", "s3://colour/hours")
    assert (code, "9 colourized, 3 skipped, 0 failed" in err) == (0, True), err
    assert whole.items() <= read_all(storage, "colour/hours").items()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_is_wrong_with_a_single_file_ends_no_run(s3, run, monkeypatch, method):
    """S3's answer to who looks for a file is the same as that to an expired login."""
    store, storage = s3
    fill(storage, f"scans/odd{method}", 4)

    def refuse(asked: str, path: str) -> str:
        return "bad request" if (asked, path[-10:]) == (method, "photo0.png") else ""

    monkeypatch.setattr(store, "refuses", refuse)
    code, out, err = run(f"s3://scans/odd{method}", "-o", f"s3://colour/odd{method}")
    assert (code, len(out)) == (1, 3), err
    assert f"error: s3://scans/odd{method}/photo0.png: " in err
    assert "3 colourized, 0 skipped, 1 failed" in err


def test_a_login_that_has_expired_before_is_said_though_s3_only_says_bad_request(s3, run, tmp_path):
    store, storage = s3
    fill(storage, "scans/expired", 1)
    store.rates = {"expired": 1.0}
    try:
        code, _, err = run("s3://scans/expired", "-o", tmp_path / "out")
    finally:
        store.rates = {}
    assert code == 2
    said = "error: s3://scans/expired: the login has expired (The token has expired.)"
    assert f"{said}\nhint: credentials: aws configure" in err


def test_a_folder_that_is_also_a_file_is_a_folder_unless_its_name_is_a_photograph_s(s3, run):
    """Some programs mark folders by empty files of their names."""
    _, storage = s3
    put = partial(storage.call_s3, "put_object", Bucket="scans")
    for folder in ("both/1931", "both/a.png"):
        put(Key=folder, Body=encoded(0))
        put(Key=f"{folder}/b.png", Body=encoded(1))
    put(Key="both/alone", Body=encoded(0))
    for name, result in (("1931", "b.png"), ("a.png", "a.png"), ("alone", "alone")):
        _, out, err = run(f"s3://scans/both/{name}", "-o", "s3://colour/both", "--dry-run")
        assert out == [f"s3://colour/both/{result}"], err


def test_a_bucket_that_does_not_say_what_is_there_is_bad_usage_or_has_no_sidecars(s3, run):
    """S3 denies to say whether a file exists to those who may not list the bucket."""
    store, storage = s3
    fill(storage, "scans/unlisted", 2)
    store.refuses = lambda method, path: method == "HEAD" and path.startswith("/colour/unlisted/")
    try:
        code, out, err = run("s3://scans/unlisted", "-o", "s3://colour/unlisted")
        assert (code, out) == (2, [])
        assert "s3://colour/unlisted: cannot be written to (does not say which files are" in err
        assert "hint: the bucket has to permit s3:ListBucket" in err
        store.refuses = lambda method, path: path.endswith(".xmp")
        code, out, err = run("s3://scans/unlisted/photo0.png", "-o", "s3://colour/unlisted")
        assert (code, out) == (0, ["s3://colour/unlisted/photo0.png"]), err
    finally:
        del store.refuses


def test_scans_that_vanish_and_results_that_are_refused_are_rows(s3, run, tmp_path):
    store, storage = s3
    fill(storage, "scans/gone", 3)
    refused = {"GET": "/scans/gone/photo0.png", "PUT": "/colour/gone/photo2.png"}
    store.refuses = lambda method, path: refused.get(method) == path
    options = ("s3://scans/gone", "-o", "s3://colour/gone", "--report", tmp_path / "report.jsonl")
    try:
        code, out, err = run(*options)
    finally:
        del store.refuses
    assert (code, out) == (1, ["s3://colour/gone/sub/photo1.png"])
    assert "error: s3://scans/gone/photo0.png: access denied" in err
    said, hint = err.partition("error: s3://scans/gone/photo2.png: ")[2].splitlines()[:2]
    assert said.startswith("cannot be written (access denied")
    assert hint.startswith("hint: credentials: aws configure")
    assert "2 colourized, 1 skipped, 0 failed" in run(*options)[2]
    assert run("--verify", tmp_path / "report.jsonl")[2] == "3 outputs: 3 as recorded\n"


def test_a_report_that_can_no_longer_be_written_is_kept(s3, run, tmp_path, monkeypatch):
    store, storage = s3
    fill(storage, "scans/kept", 2)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store.refuses = lambda method, path: method == "PUT" and path == "/colour/kept.parquet"
    options = ("s3://scans/kept", "-o", "s3://colour/kept", "--report", "s3://colour/kept.parquet")
    try:
        code, _, err = run(*options)
    finally:
        del store.refuses
    assert code == 1
    assert "error: --report s3://colour/kept.parquet: cannot be written (access denied" in err
    (kept,) = tmp_path.rglob("kept.parquet")
    assert f"hint: it is kept as {kept}; copy it there" in err
    assert run("--verify", kept)[2] == "2 outputs: 2 as recorded\n"


def test_what_is_too_long_for_names_of_local_files_is_cut(s3, run, tmp_path):
    _, storage = s3
    for name in ("x" * 300 + "a", "x" * 300 + "b", "y" * 300 + "/z"):
        storage.pipe_file(f"scans/long/{name}.png", encoded(0))
    _, out, err = run("s3://scans/long", "-o", tmp_path / "out")
    assert len(set(out)) == 3, err
    assert "0 colourized, 3 skipped" in run("s3://scans/long", "-o", tmp_path / "out")[2]


def test_a_folder_in_a_result_s_place_and_a_file_in_a_folder_s_are_said(memory, run, tmp_path):
    memory.pipe_file("/scans/a.png/b.png", encoded(0))
    memory.pipe_file("/scans/c.png", encoded(0))
    (tmp_path / "out" / "c.png").mkdir(parents=True)
    (tmp_path / "out" / "a.png").write_bytes(b"another photograph")
    code, out, err = run("memory://scans", "-o", tmp_path / "out")
    assert (code, out) == (1, [])
    assert "scans/a.png/b.png: cannot be written (file exists)" in err
    assert "scans/c.png: cannot be written (is a directory)" in err


def test_a_large_file_goes_in_parts_and_leaves_none_if_one_fails(s3, monkeypatch):
    from colourizer.storage.files import StoredFile

    store, storage = s3
    address, content = parse_location("s3://colour/large.tif"), bytes(range(256)) * (420_000)
    file = StoredFile(address)
    file.write(lambda to: to.write(content))
    file.finish()
    assert storage.cat_file("colour/large.tif") == content
    assert store.counts["POST"] >= 2
    call = type(storage)._call_s3

    async def fail_on_second(self, method, *args, **kwargs):
        if method == "upload_part" and kwargs["PartNumber"] == 2:
            raise PermissionError("no")
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(type(storage), "_call_s3", fail_on_second)
    address = parse_location("s3://colour/broken.tif")
    file = StoredFile(address)
    file.write(lambda to: to.write(content))
    with pytest.raises(connection.StorageError, match="access denied"):
        file.finish()
    assert not storage.exists("colour/broken.tif")
    assert not storage.call_s3("list_multipart_uploads", Bucket="colour").get("Uploads")
