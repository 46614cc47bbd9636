"""Which format a file is in, and its bytes with the compression taken off or put on."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

from data.errors import FormatUnknown, TableDamaged, TableError

Kind = Literal["csv", "tsv", "jsonl", "xlsx", "parquet"]
Compression = Literal["gzip", "zstd"]

KINDS: Final[tuple[Kind, ...]] = ("csv", "tsv", "jsonl", "xlsx", "parquet")
_SUFFIXES: Final[dict[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".parquet": "parquet",
}
_COMPRESSIONS: Final[dict[str, Compression]] = {".gz": "gzip", ".zst": "zstd"}
_TEXT_KINDS: Final = ("csv", "tsv", "jsonl")
_CHUNK: Final = 1 << 18

OLD_EXCEL: Final = (
    ".xls is the format of Excel 97 to 2003; save it as .xlsx in Excel, or: soffice --headless --convert-to xlsx FILE"
)
_OLE: Final = b"\xd0\xcf\x11\xe0"
_SIGNATURES: Final = {
    _OLE: "an .xls workbook or one with a password",
    b"PK\x03\x04": "xlsx",
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True)
class FileFormat:
    """How a table lies in a file.

    Attributes:
        kind: the table format.
        compression: of the whole file; text formats only.
    """

    kind: Kind
    compression: Compression | None = None

    @property
    def is_text(self) -> bool:
        """Whether the file is lines of text under its compression."""
        return self.kind in _TEXT_KINDS


def format_of(path: Path, kind: str | None = None) -> FileFormat:
    """The format a file's name tells, such as ``tickets.csv.gz``.

    Args:
        path: the file; it need not exist.
        kind: what the table format is, whatever the name says.

    Raises:
        FormatUnknown: neither the name nor ``kind`` names a format that is read here.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if compression else suffixes
    found = kind or (_SUFFIXES.get(inner[-1]) if inner else None)
    if found not in KINDS:
        hint = OLD_EXCEL if suffixes and suffixes[-1] == ".xls" else None
        raise FormatUnknown(path.name, [*_SUFFIXES, *(f".csv{end}" for end in _COMPRESSIONS)], hint)
    if compression and found not in _TEXT_KINDS:
        raise FormatUnknown(path.name, (), f"{found} has its own compression: leave {suffixes[-1]} away")
    return FileFormat(found, compression)


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table; for walking through folders."""
    try:
        format_of(path)
    except FormatUnknown:
        return False
    return True


def check_content(path: Path, form: FileFormat) -> None:
    """Hold a file's first bytes against its format: a workbook read as CSV would be rows of nonsense.

    Raises:
        TableError: the file is empty, or plainly something else than its name says.
    """
    with damage_named(path), path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise TableError(f"{path} is empty: it has no byte")
    found = next((name for mark, name in _SIGNATURES.items() if head.startswith(mark)), None)
    if found is None or found in (form.kind, form.compression):
        return
    if head.startswith(_OLE):
        raise TableError(f"{path} is {found}, which is not read here; save it as .xlsx without a password")
    raise TableError(f"{path} is {found}, not {form.compression or form.kind}; give it a name that says so")


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn whatever a damaged or unreadable file raises into one error that names it.

    Raises:
        TableDamaged: the file ends early, is not what its name says or cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise TableError(f"no file {path}") from None
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise TableDamaged(path, error) from error


def zstandard() -> Any:
    """The zstandard module.

    Raises:
        TableError: it is not installed.
    """
    try:
        import zstandard as module
    except ModuleNotFoundError as error:
        raise TableError("zstd needs one more library: pip install 'fankui[tables]'") from error
    return module


class _ZstdReader(io.RawIOBase):
    """Decompresses frame after frame; unlike zstandard's own reader it notices a file that ends early."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._module = raw, zstandard()
        self._frame: Any = None
        self._ready, self._left = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._left or self._raw.read(_CHUNK)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the compressed file ends early")
                return 0
            self._frame = self._frame or self._module.ZstdDecompressor().decompressobj()
            try:
                self._ready = self._frame.decompress(chunk)
            except self._module.ZstdError as error:
                raise OSError(f"not zstd: {error}") from error
            self._left = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def open_plain(raw: BinaryIO, compression: Compression | None) -> BinaryIO:
    """A file's bytes without their compression."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb"))
    if compression == "zstd":
        return cast(BinaryIO, io.BufferedReader(_ZstdReader(raw), _CHUNK))
    return raw


def open_packed(raw: BinaryIO, compression: Compression | None) -> BinaryIO:
    """A stream whose bytes are written compressed; the same bytes always give the same file."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0))
    if compression == "zstd":
        return cast(BinaryIO, zstandard().ZstdCompressor(level=3).stream_writer(raw, closefd=False))
    return raw
