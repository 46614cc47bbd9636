"""How far a run is: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Final, TextIO

_BAR: Final = 24
_REDRAW_S: Final = 0.2
_LINE_S: Final = 30.0


class Progress:
    """Shows progress on a stream.

    Args:
        stream: usually standard error.
        quiet: show nothing.
    """

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._stream, self._quiet = stream, quiet
        self._terminal = stream.isatty()
        self._began = self._shown = time.monotonic()
        self._drawn = False

    def update(self, rows: int, share: float | None) -> None:
        """Show how far it is, if it is time to.

        Args:
            rows: done so far.
            share: of the whole, 0 to 1; None where nobody can say.
        """
        now = time.monotonic()
        if self._quiet or now - self._shown < (_REDRAW_S if self._terminal else _LINE_S):
            return
        self._shown = now
        elapsed = now - self._began
        said = f"{rows:,} rows, {rows / elapsed:,.0f} a second"
        if share:
            said += f", {_duration(elapsed * (1 - share) / share)} left"
            if self._terminal:
                filled = round(_BAR * share)
                said = f"[{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%} {said}"
            else:
                said = f"{share:.0%}, {said}"
        self._stream.write(f"\r\x1b[K{said}" if self._terminal else f"{said}\n")
        self._stream.flush()
        self._drawn = self._terminal

    def finish(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
