"""matches.py: a run says how much of its files the reference matched."""

from colourizer.inference.matches import ReferenceMatches


def described(*matches: float | None) -> str:
    found = ReferenceMatches()
    for n, match in enumerate(matches):
        found.add(f"album/{n}.jpg", match)
    return "\n".join(found.describe())


def test_a_run_without_a_reference_says_nothing():
    assert described(None, None) == ""


def test_one_file_is_named():
    assert described(0.623, None) == "reference: 62% of 0.jpg matched"


def test_one_that_hardly_matches_is_told_what_to_choose():
    first, second = described(0.05).splitlines()
    assert first == "reference: 5% of 0.jpg matched"
    assert second.startswith("note: it hardly matches; choose one of the same people")


def test_several_files_have_one_sentence_and_those_that_hardly_match_are_counted():
    first, second = described(0.9, 0.1, 0.2).splitlines()
    assert first == "reference: 40% of 3 files matched on average"
    assert second.startswith("note: it hardly matches 2 of them")
