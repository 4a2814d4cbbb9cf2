"""file_names.py: names that lead out of no folder, and that every system can unpack."""

from pathlib import Path

import pytest

from colourizer.app.file_names import safe_name


@pytest.mark.parametrize(
    ("uploaded", "safe"),
    [
        ("grandmother.jpg", "grandmother.jpg"),
        ("album/1950/ä ö.png", "album/1950/ä ö.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\photos\\a.jpg", "C_/photos/a.jpg"),
        ("..", "photograph"),
        ("", "photograph"),
        ("a\0b\n<c>.jpg", "a_b__c_.jpg"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("./a/./b.png", "a/b.png"),
        ("CON.jpg", "_CON.jpg"),
        ("nul", "_nul"),
        ("album/com1.tar.png", "album/_com1.tar.png"),
        ("LPT\u00b2.jpg", "_LPT\u00b2.jpg"),
        ("aux /prn.png", "_aux/_prn.png"),
        ("CON .jpg", "_CON .jpg"),
        ("CONIN$.jpg", "_CONIN$.jpg"),
        ("console.jpg", "console.jpg"),
        ("trailing dots.jpg...", "trailing dots.jpg"),
        ("folder. ./a.jpg. ", "folder/a.jpg"),
        ("a.jpg:stream", "a.jpg_stream"),
        ("bell\a tab\t \x7f.jpg", "bell_ tab_ _.jpg"),
        ("gpj.\u202eexe.jpg", "gpj._exe.jpg"),
        ("lone \ud800 surrogate.jpg", "lone _ surrogate.jpg"),
        ("y" * 199 + ". " + "z.jpg", "y" * 196 + ".jpg"),
        ("x.jpg" + "\u00e4" * 300, "x.jpg" + "\u00e4" * 16),
    ],
)
def test_no_name_leads_out_of_a_folder(uploaded, safe):
    assert safe_name(uploaded) == safe
    assert ".." not in Path(safe).parts
