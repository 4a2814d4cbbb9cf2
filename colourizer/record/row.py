"""Row: what was done to a scan for one of its outputs; Settings: what moved the colours."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

# What a picture is of its scan: the first four values of Row.picture.
COLOURED, CONFIDENCE, VARIANTS, COMPARISON = "coloured", "confidence", "variants", "comparison"
EXISTS_ALREADY = "there already"  # begins the reason of what was skipped as its output exists
DIGITS = 12  # of a hash that are enough to tell one network or reference from another
# They move a colour by less than can be seen: a mixed cluster's scans are of the same settings.
INVISIBLE = ("device", "precision")


@dataclass(frozen=True)
class Settings:
    """What moves a colour besides the scan itself. Texts are empty where nothing was given.

    network: SHA-256 of the checkpoint's file, hexadecimal.
    vividness: in [0, 1]; None of a network that has one answer only.
    warmth: from -1, bluish, to 1, yellowish.
    saturation: what chroma is multiplied by, from 0 on.
    variant: 1 for the most likely colouring, 2 for NAME_variant2, and so on.
    hints: known colours, X,Y,#RRGGBB joined by |; "sha256:" and a hash if they are many; in an
        album also "others:" and a hash of those of its other photographs.
    reference: SHA-256 of the reference's file, hexadecimal; of its pixels if it was in none.
    keep_luma: whether a grey JPEG's luma was kept instead of its lightness.
    device: cpu, cuda or mps.
    precision: of the network's numbers.
    album: whether what other photographs show as well got the same colours.
    """

    network: str = ""
    vividness: float | None = None
    warmth: float = 0.0
    saturation: float = 1.0
    variant: int = 1
    hints: str = ""
    reference: str = ""
    keep_luma: bool = False
    device: str = ""
    precision: str = ""
    album: bool = False

    def as_text(self) -> str:
        """Return all but the network in one line, NAME=VALUE each; what is as by default left out.

        Of hashes there are the first DIGITS.
        """
        values = {name: getattr(self, name) for name in TYPES if name != "network"}
        values["reference"] = self.reference[:DIGITS]
        return " ".join(
            f"{name}={value}" for name, value in values.items() if value != getattr(DEFAULT, name)
        )

    def differences(self, other: "Settings") -> list[str]:
        """Return in words where this one's visible settings are not another's, for each of them."""
        found = []
        for name in TYPES:
            mine, theirs = (getattr(one, name) for one in (self, other))
            if name in ("network", "reference"):
                mine, theirs = mine[:DIGITS], theirs[:DIGITS]
            if mine != theirs and name not in INVISIBLE:
                mine, theirs = (
                    "none" if value in ("", None) else value for value in (mine, theirs)
                )
                found.append(f"{name.replace('_', ' ')} {mine}, not {theirs}")
        return found


DEFAULT = Settings()
TYPES: dict[str, type] = {name.name: type(getattr(DEFAULT, name.name)) for name in fields(Settings)}
TYPES["vividness"] = float


def parse_settings(text: str, network: str = "") -> Settings:
    """Return the settings of `Settings.as_text`; names that are not known are passed over.

    Args:
        text: NAME=VALUE, separated by blanks.
        network: SHA-256 of the checkpoint's file, or its first digits.

    Raises:
        ValueError: a value is none.
    """
    pairs = (word.partition("=")[::2] for word in text.split())
    known = {name: value for name, value in pairs if name in TYPES}
    values: dict[str, Any] = {
        name: value == "True" if TYPES[name] is bool else TYPES[name](value)
        for name, value in known.items()
    }
    return Settings(**{"network": network} | values)


@dataclass(frozen=True)
class Row:
    """What was done to a scan for one of its outputs. A report holds one for each pair of the two.

    source, output: their addresses; absolute paths, or addresses of a store.
    result: colourized, skipped, failed, or stopped before its end.
    reason: why it was not colourized.
    note: what is wrong with the scan, though it was colourized.
    picture: what the output is: COLOURED, CONFIDENCE, VARIANTS (all of them) or COMPARISON.
    source_sha256, output_sha256: of the files, hexadecimal; empty where there was nothing to read.
    source_bytes, output_bytes: sizes; 0 where there was nothing to read.
    converted: what is not as it was in the scan's file, or was kept bit for bit on request; parts
        separated by "; ".
    reference_match: the share of the scan that the reference matched, in [0, 1]; None without one.
    seconds: that the scan took, all of its outputs together.
    version: of the program.
    settings: what moved the colours.
    """

    source: str
    output: str
    result: str
    reason: str = ""
    note: str = ""
    picture: str = COLOURED
    source_sha256: str = ""
    output_sha256: str = ""
    source_bytes: int = 0
    output_bytes: int = 0
    converted: str = ""
    reference_match: float | None = None
    seconds: float = 0.0
    version: str = ""
    settings: Settings = field(default=DEFAULT)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a flat dictionary, the settings after the other values."""
        values = asdict(self)
        return values | values.pop("settings")


def row_from_dict(values: dict[str, Any]) -> Row:
    """Return the row of `Row.as_dict`; names that are not known are passed over.

    Raises:
        ValueError: it is no row.
    """
    own = {name for name in ROW_TYPES if name not in TYPES}
    given = {name: value for name, value in values.items() if value is not None}
    if not {"source", "output", "result"} <= given.keys():
        raise ValueError("has no source, output and result")
    for name, value in given.items():
        kind = ROW_TYPES.get(name)
        if kind and not (isinstance(value, kind) or (kind is float and isinstance(value, int))):
            raise ValueError(f"{name} is no {kind.__name__}")
    settings = Settings(**{name: value for name, value in given.items() if name in TYPES})
    return Row(**{name: given[name] for name in given.keys() & own}, settings=settings)


ROW_TYPES: dict[str, type] = {
    name: type(value) for name, value in Row("", "", "").as_dict().items()
} | TYPES
ROW_TYPES["reference_match"] = float
