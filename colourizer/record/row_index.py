"""Which row counts of several that a report has for one scan and output; found by both."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from colourizer.record.row import Row, Settings

# Their rows say what became of the output; others, without its hash, that it was left as it was.
DECISIVE = ("colourized", "failed")


def is_decisive(row: Row) -> bool:
    """Return whether a row counts even if an earlier one says what became of the output."""
    return row.result in DECISIVE or bool(row.output_sha256)


def hash_key(source: str, output: str) -> tuple[int, int]:
    """Return two numbers of 64 bits, the second one even, that stand for two addresses."""
    key = f"{source}\0{output}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(key, digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") & ~1


@dataclass(frozen=True)
class Recorded:
    """What a report says of an output.

    result: as in Row.
    settings: it was made with.
    source_bytes: the scan's size at that time.
    """

    result: str
    settings: Settings
    source_bytes: int

    @property
    def has_hashes(self) -> bool:
        """Whether its row has the hashes of scan and output."""
        return self.result in ("colourized", "skipped") and bool(self.source_bytes)


class RowIndex:
    """The rows of a report that count, by scan and output; of each 36 bytes, not the row itself.

    Of several rows for a scan and an output the last one counts; one that only says that the
    output was there, without its hash, or that the run was stopped, does not count if another one
    does.

    Attributes:
        count: of all rows, those included that do not count.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        """Index rows, which are in the order in which they were written."""
        high, low, sizes, kinds = array("Q"), array("Q"), array("q"), array("I")
        number_of: dict[tuple[str, Settings], int] = {}
        for row in rows:
            one, other = hash_key(row.source, row.output)
            high.append(one)
            low.append(other | is_decisive(row))  # those come after the others
            sizes.append(row.source_bytes)
            kinds.append(number_of.setdefault((row.result, row.settings), len(number_of)))
        self.count = len(high)
        order = np.lexsort((np.asarray(low), np.asarray(high)))
        self._high = np.asarray(high)[order]
        del high  # there may be millions
        self._low = np.asarray(low)[order] & ~np.uint64(1)
        del low
        last = np.ones(len(order), dtype=bool)  # of the rows with its key
        last[:-1] = (self._high[1:] != self._high[:-1]) | (self._low[1:] != self._low[:-1])
        self._high, self._low = self._high[last], self._low[last]
        self._numbers = order[last]  # of the rows that count, by their keys
        self._sizes = np.asarray(sizes)[self._numbers]
        self._kinds = np.asarray(kinds)[self._numbers]
        self._kind_of = list(number_of)

    def __len__(self) -> int:
        """Return how many rows count."""
        return len(self._numbers)

    def counting(self) -> np.ndarray:
        """Return of each row, (count,) bool, whether it counts."""
        counts = np.zeros(self.count, dtype=bool)
        counts[self._numbers] = True
        return counts

    def find(self, source: str, output: str) -> Recorded | None:
        """Return what the row that counts for a scan and an output says; None without one."""
        one, other = hash_key(source, output)
        place = int(np.searchsorted(self._high, np.uint64(one)))
        while place < len(self) and self._high[place] == one:
            if self._low[place] == other:
                result, settings = self._kind_of[int(self._kinds[place])]
                return Recorded(result, settings, int(self._sizes[place]))
            place += 1
        return None
