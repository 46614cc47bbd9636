"""Labelling rows in windows: read, label and hand on at the same time, always with the same result.

A window is a fixed run of rows of the input. The texts in it that were not seen shortly before are labelled
together by one of several worker threads, while this thread reads the next windows and the caller writes the
earlier ones. What is labelled where depends on nothing but the input, so a run that was killed can replay its
journal and go on as if nothing had happened.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from data.errors import TextError
from data.feedback import checked_text
from data.tables import Reject, Row, text_of
from model.classifier import Classifier
from serving.label_cells import label_columns, label_values
from serving.label_errors import JournalBroken

WINDOW_ROWS: Final = 2048
"""Rows between two checkpoints."""

_WINDOW_CHARACTERS: Final = 400_000
_REMEMBERED: Final = 20_000
_LONG_TEXT: Final = 64


class LabelJournal(Protocol):
    """Where labels of windows are kept."""

    def replay(self) -> Iterator[list[list[Any]]]:
        """The windows that were kept."""
        ...

    def append(self, values: list[list[Any]]) -> None:
        """Keep one more window."""
        ...


class NoJournal:
    """Keeps nothing; for output that cannot be taken back, such as a pipe."""

    def replay(self) -> Iterator[list[list[Any]]]:
        """Nothing was kept."""
        return iter(())

    def append(self, values: list[list[Any]]) -> None:
        """Keep nothing."""


@dataclass(slots=True, eq=False)
class Answer:
    """The label values of one text, once they are known; shared by all rows with that text."""

    values: list[Any] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Window:
    items: list[tuple[Row | Reject, Answer | None]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    characters: int = 0


class Labeller:
    """Labels rows with one classifier.

    Args:
        classifier: says the labels.
        text_columns: where a row has its text.
        window_rows: rows between two checkpoints.
        workers: windows that are labelled at the same time.

    Attributes:
        duplicates: rows that took the labels of an earlier row with the same text.
    """

    def __init__(
        self, classifier: Classifier, text_columns: Sequence[str], window_rows: int = WINDOW_ROWS, workers: int = 2
    ) -> None:
        self._classifier, self._text_columns, self._window_rows = classifier, text_columns, window_rows
        self._names = tuple(column.name for column in label_columns(classifier.taxonomy))
        self._workers = workers
        self._seen: dict[str | bytes, Answer] = {}
        self.duplicates = 0

    def label(
        self, rows: Iterable[Row | Reject], journal: LabelJournal
    ) -> Generator[tuple[Row | Reject, Answer | None], None, None]:
        """Label rows in the order they come.

        Args:
            rows: of one table.
            journal: holds the labels of a run that was cut short, and takes those of this one.

        Yields:
            Every row with its answer; a `Reject` with None.

        Raises:
            EngineError: inference failed.
            JournalBroken: the journal is of other rows.
        """
        kept = journal.replay()
        waiting: deque[tuple[_Window, Future[list[list[Any]]] | list[list[Any]]]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="label") as pool:
            try:
                for window in self._windows(rows):
                    values = next(kept, None)
                    waiting.append((window, pool.submit(self._values, window.texts) if values is None else values))
                    if len(waiting) > self._workers + 1:
                        yield from _settled(*waiting.popleft(), journal.append)
                while waiting:
                    yield from _settled(*waiting.popleft(), journal.append)
            finally:
                pool.shutdown(cancel_futures=True)

    def _values(self, texts: Sequence[str]) -> list[list[Any]]:
        return [label_values(result, self._names) for result in self._classifier.predict_each(texts)]

    def _windows(self, rows: Iterable[Row | Reject]) -> Iterator[_Window]:
        window = _Window()
        for row in rows:
            self._add(window, row)
            if len(window.items) >= self._window_rows or window.characters >= _WINDOW_CHARACTERS:
                yield window
                window = _Window()
        if window.items:
            yield window

    def _add(self, window: _Window, row: Row | Reject) -> None:
        if isinstance(row, Reject):
            window.characters += len(row.raw)
            window.items.append((row, None))
            return
        text = text_of(row.cells, self._text_columns)
        window.characters += sum(len(cell) for cell in row.cells.values() if isinstance(cell, str))
        try:
            text = checked_text(text)
        except TextError as error:
            window.items.append((row, Answer(label_values(error, self._names))))
            return
        key = text if len(text) <= _LONG_TEXT else hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        answer = self._seen.get(key)
        if answer is None:
            answer = self._seen[key] = Answer()
            window.texts.append(text)
            window.answers.append(answer)
            if len(self._seen) > _REMEMBERED:
                self._seen.pop(next(iter(self._seen)))
        else:
            self.duplicates += 1
        window.items.append((row, answer))


def _settled(
    window: _Window, values: Future[list[list[Any]]] | list[list[Any]], keep: Callable[[list[list[Any]]], None]
) -> Iterator[tuple[Row | Reject, Answer | None]]:
    if isinstance(values, Future):
        values = values.result()
        keep(values)
    if len(values) != len(window.answers):
        raise JournalBroken("the work so far")
    for answer, value in zip(window.answers, values, strict=True):
        answer.values = value
    yield from window.items
