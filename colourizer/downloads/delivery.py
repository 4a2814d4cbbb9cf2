"""A delivery: the files that a source has for a query, where they are from, and what failed."""

import json
from dataclasses import dataclass, field
from pathlib import Path

NOTES = "notes.jsonl"  # beside the files of a delivery: a line for each link


@dataclass
class Delivery:
    """The files downloaded for a query, in a folder from which the delivery can be read again.

    folder: holds the files, and notes of where they are from.
    files: the file of each link that was downloaded, valid or not, in the source's order.
    lost: why each of the other links could not be downloaded.
    origins: metadata of each link, lost ones included: page, title, author, licence, licence_url,
        provider.
    trouble: why the download ended early; empty if it did not.
    unreachable: whether the source itself cannot be reached, so that other queries will fail too.
    exhausted: whether the source has no more results for this query.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    trouble: str = ""
    unreachable: bool = False
    exhausted: bool = False

    def add_file(self, link: str, content: bytes, origin: dict[str, str]) -> None:
        """Write the file that a link has led to."""
        path = self.folder / f"{len(self.files) + len(self.lost) + 1}"
        path.write_bytes(content)
        self.files[link], self.origins[link] = path, origin
        self._note({"link": link, "origin": origin, "file": path.name})

    def add_lost(self, link: str, why: str, origin: dict[str, str]) -> None:
        """Note why a link could not be downloaded."""
        self.lost[link], self.origins[link] = why, origin
        self._note({"link": link, "origin": origin, "lost": why})

    def _note(self, row: dict[str, object]) -> None:
        with (self.folder / NOTES).open("a", encoding="utf-8") as notes:
            print(json.dumps(row), file=notes)

    @classmethod
    def read(cls, folder: Path) -> "Delivery":
        """Read a delivery, even an interrupted one; files without a note are left out."""
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
