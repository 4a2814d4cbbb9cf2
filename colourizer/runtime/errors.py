"""Errors in words: the base of those that tell the user what to do, and reasons of others."""


class HintedError(Exception):
    """An error whose notes hold hints; `cli.list_hints` lists them."""

    def __init__(self, what: str, *hints: str) -> None:
        super().__init__(what)
        for hint in hints:
            self.add_note(f"hint: {hint}")


def reason_of(error: BaseException) -> str:
    """Return why something failed, for a message that names the file itself.

    Of an OSError these are the system's words in lower case; of others their message, or their kind
    if they have none.
    """
    said = getattr(error, "strerror", None)
    return said.lower() if said else str(error) or type(error).__name__
