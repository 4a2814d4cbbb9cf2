"""Where a film's file ends by what its container says: one that ends before was cut off."""

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # that MP4 and QuickTime begin with
EBML = b"\x1a\x45\xdf\xa3"  # begins a Matroska file
START_CODE, PACK = b"\0\0\1", 0xBA  # of a program stream's parts; the id of a pack's header
LEAST_ID, MPEG_2 = 0xBB, 0x40  # of all other parts; the least byte after a pack's id in MPEG-2
SYNC = 0x47  # the first byte of a transport stream's packets
PACKETS = ((188, 0), (192, 4), (204, 0))  # their lengths, and where the first one begins
START_BYTES, END_BYTES = 1024, 1 << 20  # of a file, that are read
SLACK = 8  # bytes: some programs count the first header of an AVI twice


def is_cut_off(path: Path) -> bool:
    """Return whether a film's file is shorter than its container says; False if it says nothing.

    A file that was cut between two packets of MPEG is not known from a whole one. Of one that
    cannot be read nothing is known, either.
    """
    with suppress(OSError), path.open("rb") as file:
        size = path.stat().st_size
        start = file.read(START_BYTES)
        if start.startswith(b"RIFF"):
            return find_riff_end(file, size) > size + SLACK
        if start[4:8] in BOXES:
            return find_box_end(file, size) > size
        if start.startswith(EBML):
            return find_segment_end(start) > size
        if start.startswith(START_CODE + bytes((PACK,))):
            file.seek(max(0, size - END_BYTES))
            end = file.read()
            return find_part_end(end) > len(end)
        for length, first in PACKETS:
            syncs = start[first::length]
            if len(syncs) > 1 and set(syncs) == {SYNC}:
                return size % length > 0
    return False


def find_riff_end(file: BinaryIO, size: int) -> int:
    """Return where the last of an AVI's RIFF chunks ends; beyond the file if it has no length."""
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(8)
        if header[:4] != b"RIFF":  # nothing of the film
            break
        length = int.from_bytes(header[4:], "little")
        end += 8 + length + length % 2 if length else size + SLACK + 1
    return end


def find_box_end(file: BinaryIO, size: int) -> int:
    """Return where the last of the boxes of MP4 or QuickTime ends."""
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < 8:  # 0: it has the rest of the file
            break
        end += length
    return end


def find_segment_end(start: bytes) -> int:
    """Return where a Matroska file's segment, its second element, ends; 0 if it has no length."""
    end = 0
    for _ in range(2):
        end += 4  # the element's id
        first = start[end] if end < len(start) else 0
        width = 9 - first.bit_length()  # bytes of the length
        ones = (1 << 7 * width) - 1
        length = int.from_bytes(start[end : end + width], "big") & ones
        if not first or length == ones:
            return 0
        end += width + length
    return end


def find_part_end(data: bytes) -> int:
    """Return where the last part of an MPEG program stream ends, of the end of its file."""
    end = max(0, data.rfind(START_CODE + bytes((PACK,))))
    while data[end : end + 3] == START_CODE:
        part = data[end : end + 14]
        if part[3:4] == bytes((PACK,)):
            is_mpeg_2 = part[4:5] >= bytes((MPEG_2,))
            end += 14 + (part[13] & 7 if len(part) == 14 else 0) if is_mpeg_2 else 12
        elif len(part) > 3 and part[3] < LEAST_ID:  # the end of the program
            break
        else:
            end += 6 + int.from_bytes(part[4:6], "big")
    return end
