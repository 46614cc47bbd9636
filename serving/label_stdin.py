"""Standard input as a file that can be read twice."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from serving.checkpoint import hold
from serving.label_paths import PIPE

_HEAD: Final = 4096
_CHUNK: Final = 1 << 20


@contextlib.contextmanager
def standard_input_as_file(output: str | None, kind: str | None) -> Iterator[tuple[Path, str]]:
    """Standard input, copied into a file beside the output (or a temporary one), and its format.

    It is read twice (codec, then rows), and a run that is killed finds it unchanged when it gets the same again.

    Args:
        output: as `plan` takes it.
        kind: the format; found by the first bytes where None.

    Raises:
        RunInProgress: another process has its standard input there.
    """
    if output is None or output == PIPE:
        with tempfile.NamedTemporaryFile(prefix="fankui-") as temporary:
            shutil.copyfileobj(sys.stdin.buffer, temporary, _CHUNK)
            temporary.flush()
            yield Path(temporary.name), kind or _kind_by_content(Path(temporary.name))
        return
    path = Path(output + ".stdin")
    with path.open("ab") as file:
        hold(file, Path(output))
        file.truncate(0)
        shutil.copyfileobj(sys.stdin.buffer, file, _CHUNK)
        file.flush()
        try:
            yield path, kind or _kind_by_content(path)
        finally:
            path.unlink()


def _kind_by_content(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"{", b"[")):
        return "jsonl"
    return "csv"
