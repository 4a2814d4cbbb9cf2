"""errors.py: why something failed, in words."""

import pytest

from colourizer.runtime.errors import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "a.jpg"), "permission denied"),
        (OSError("cannot identify a.JPG"), "cannot identify a.JPG"),
        (ValueError("no list of Paths"), "no list of Paths"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_reason_is_what_the_system_says_in_lower_case_or_the_errors_own_words(error, reason):
    assert reason_of(error) == reason
