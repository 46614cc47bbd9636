"""The labels of a run so far, kept so that a crash loses at most the windows it was at."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from serving.label_errors import JournalBroken

_FRAME: Final = struct.Struct(">II")


class Journal:
    """Labels of windows, appended one frame a window: length, CRC-32, deflated JSON.

    A frame that was cut off by a crash is found by its checksum and written again.

    Args:
        path: the file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._valid_bytes = 0
        self.windows = 0
        for size in self._frames():
            self._valid_bytes += size
            self.windows += 1
        self._file: BinaryIO = path.open("r+b")
        self._file.truncate(self._valid_bytes)
        self._file.seek(self._valid_bytes)

    def _frames(self) -> Iterator[int]:
        with self._path.open("rb") as file:
            while (payload := _read_frame(file)) is not None:
                yield _FRAME.size + len(payload)

    def replay(self) -> Iterator[list[list[Any]]]:
        """The windows that were kept, as `append` got them.

        Raises:
            JournalBroken: the file is not what it was when it was opened.
        """
        with self._path.open("rb") as file:
            for _ in range(self.windows):
                payload = _read_frame(file)
                if payload is None:
                    raise JournalBroken(self._path)
                yield json.loads(zlib.decompress(payload))

    def append(self, values: list[list[Any]]) -> None:
        """Keep one more window; when this returns it is on the disk."""
        payload = zlib.compress(json.dumps(values, ensure_ascii=False).encode(), 1)
        self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read_frame(file: BinaryIO) -> bytes | None:
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(head)
    payload = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None
