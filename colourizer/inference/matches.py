"""How much of the coloured photographs and films a reference matched, in words."""

from dataclasses import dataclass
from pathlib import PurePath

from colourizer.inference.hints import WEAK_MATCH


@dataclass
class ReferenceMatches:
    """What a run's reference matched.

    files: how many photographs and films were coloured with it.
    total: the sum of the shares of them that it matched.
    weak: of how many it matched less than WEAK_MATCH.
    last: the name of the last of them.
    """

    files: int = 0
    total: float = 0.0
    weak: int = 0
    last: str = ""

    def add(self, name: str, match: float | None) -> None:
        """Add a file of which a share in [0, 1] matched; None was coloured without a reference."""
        if match is not None:
            self.files += 1
            self.total += match
            self.weak += match < WEAK_MATCH
            self.last = PurePath(name).name

    def describe(self) -> list[str]:
        """Return lines for the user; none if no reference was used."""
        if not self.files:
            return []
        share, alone = f"{self.total / self.files:.0%}", self.files == 1
        what = self.last if alone else f"{self.files} files"
        lines = [f"reference: {share} of {what} matched{'' if alone else ' on average'}"]
        if self.weak:
            of_them = "" if alone else f" {self.weak} of them"
            lines.append(
                f"note: it hardly matches{of_them}; choose one of the same people, place or film"
            )
        return lines
