"""What a source has brought, and why not more."""

import json
from dataclasses import dataclass, field
from pathlib import Path

NOTES = "notes.jsonl"  # beside the files of a delivery: where each one is from


@dataclass
class Delivery:
    """What a source has brought for a query, in a folder, from which it can be read again.

    folder: holds the files and notes of where they are from.
    files: a file for each link that was downloaded, good or bad, in the source's order.
    lost: why, for each link that could not be downloaded.
    origins: what is known of a link: page, title, author, licence, licence_url, provider; of a lost
        one too.
    trouble: why it ended before its time; empty if it did not.
    unreachable: whether the source itself cannot be reached, so that no other query will do better.
    exhausted: whether the source has no more for this query.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    trouble: str = ""
    unreachable: bool = False
    exhausted: bool = False

    def bring(self, link: str, content: bytes, origin: dict[str, str]) -> None:
        """Keep what a link has led to."""
        path = self.folder / f"{len(self.files) + len(self.lost) + 1}"
        path.write_bytes(content)
        self.files[link], self.origins[link] = path, origin
        self._note({"link": link, "origin": origin, "file": path.name})

    def lose(self, link: str, why: str, origin: dict[str, str]) -> None:
        """Note that a link has led to nothing."""
        self.lost[link], self.origins[link] = why, origin
        self._note({"link": link, "origin": origin, "lost": why})

    def _note(self, row: dict[str, object]) -> None:
        with (self.folder / NOTES).open("a", encoding="utf-8") as notes:
            print(json.dumps(row), file=notes)

    @classmethod
    def read(cls, folder: Path) -> "Delivery":
        """Read a delivery, also one that was broken off; what has no note is left out."""
        delivery = cls(folder)
        try:
            lines = (folder / NOTES).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return delivery
        for line in lines:
            try:
                row = json.loads(line)
                if "lost" in row:
                    delivery.lost[row["link"]] = row["lost"]
                else:
                    delivery.files[row["link"]] = folder / row["file"]
                delivery.origins[row["link"]] = row["origin"]
            except (ValueError, TypeError, KeyError):  # half a line, of a process that was killed
                continue
        return delivery
