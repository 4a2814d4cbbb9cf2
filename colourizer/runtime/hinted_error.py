"""The base of errors that tell the user what to do; `cli.list_hints` lists what they tell."""


class HintedError(Exception):
    """An error whose notes hold hints."""

    def __init__(self, what: str, *hints: str) -> None:
        super().__init__(what)
        for hint in hints:
            self.add_note(f"hint: {hint}")
