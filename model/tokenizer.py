"""From text to piece ids, in windows where a text is longer than the model reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from data.text import normalise

MAX_WINDOWS: Final = 16
"""A longer text is read in its first and its last eight windows; what lies between is passed over."""

_OVERLAP: Final = 0.25


class WindowTokenizer:
    """Normalises and encodes texts; one text gives one window or more.

    Args:
        path: a ``tokenizer.json``.
        max_tokens: pieces a window, special ones included.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens, stride=int(max_tokens * _OVERLAP))
        self.max_tokens = max_tokens

    def encode(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Piece ids of every window of every text.

        Args:
            texts: raw texts; normalised here.

        Returns:
            For each text its windows (at least one, at most `MAX_WINDOWS`), each a list of piece ids with the
            special pieces of the tokenizer's template.
        """
        result = []
        for encoding in self._tokenizer.encode_batch([normalise(text) for text in texts]):
            windows = [encoding.ids, *(more.ids for more in encoding.overflowing)]
            if len(windows) > MAX_WINDOWS:
                half = MAX_WINDOWS // 2
                windows = windows[:half] + windows[-half:]
            result.append(windows)
        return result
