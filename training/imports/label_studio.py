"""Label Studio's exports JSON and JSON_MIN, and any other JSON array of objects.

JSON holds tasks with all their annotations; of several the one marked as ground truth counts, else the newest.
JSON_MIN holds one flat object an annotation, one choice as a string and several as ``{"choices": […]}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.errors import DataError
from training.imports.rows import ImportOptions, LabelledFile, Problem, RawRow
from training.imports.tables import add_row, find_text_columns, label_columns

_SPANS = ("labels", "hypertextlabels", "relation", "paragraphlabels")


def read_json(path: Path, options: ImportOptions) -> LabelledFile:
    """Read a JSON array.

    Raises:
        DataError: the file is not a JSON array of objects, or holds no usable annotation.
    """
    try:
        items = json.loads(path.read_text("utf-8-sig"), parse_constant=lambda _: None)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not JSON that can be read: {error}") from error
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path} is not a JSON array of objects, as Label Studio exports it (JSON or JSON_MIN)")
    if any("data" in item and ("annotations" in item or "completions" in item) for item in items):
        return _read_tasks(path, items, options)
    return _read_flat(path, items, options)


def _read_flat(path: Path, items: Sequence[Mapping[str, Any]], options: ImportOptions) -> LabelledFile:
    columns = list(dict.fromkeys(name for item in items for name in item))
    text_columns = find_text_columns(path.name, columns, options)
    studio = "annotation_id" in columns
    form = f"{'Label Studio JSON_MIN' if studio else 'JSON array'}, text from {' + '.join(text_columns)}"
    result = LabelledFile(path, form, label_columns(columns, text_columns))
    for number, item in enumerate(items, start=1):
        add_row(result, f"{path.name}:item {number}", item, text_columns, complete=studio)
    return result


def _read_tasks(path: Path, items: Sequence[Mapping[str, Any]], options: ImportOptions) -> LabelledFile:
    tasks = [task if isinstance(task.get("data"), dict) else {**task, "data": {}} for task in items]
    columns = list(dict.fromkeys(name for task in tasks for name in task["data"]))
    text_columns = find_text_columns(path.name, columns, options)
    result = LabelledFile(path, f"Label Studio JSON, text from {' + '.join(text_columns)}")
    several = differing = 0
    names: dict[str, None] = {}
    for number, task in enumerate(tasks, start=1):
        where = f"{path.name}:item {number}"
        annotations = [a for a in task.get("annotations", task.get("completions", [])) if not a.get("was_cancelled")]
        if not annotations:
            result.problems.append(Problem(where, "no label", "the task has no annotation that was not cancelled"))
            continue
        answers = [_choices(annotation, where, result) for annotation in annotations]
        several += len(answers) > 1
        differing += any(answer != answers[0] for answer in answers)
        chosen = answers[_best(annotations)]
        names.update(dict.fromkeys(chosen))
        before = len(result.rows)
        add_row(result, where, {**task["data"], "id": task.get("id")}, text_columns, complete=True)
        if len(result.rows) > before:
            row = result.rows.pop()
            result.rows.append(RawRow(where, row.text, chosen, row.id, complete=True))
    result.columns = tuple(names)
    if several:
        result.notices.append(
            f"{several} tasks have several annotations, {differing} of them differing; ground truth counts, "
            "else the newest"
        )
    return result


def _best(annotations: Sequence[Mapping[str, Any]]) -> int:
    def rank(number: int) -> tuple[bool, str, int]:
        annotation = annotations[number]
        when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
        return bool(annotation.get("ground_truth")), when, number

    return max(range(len(annotations)), key=rank)


def _choices(annotation: Mapping[str, Any], where: str, result: LabelledFile) -> dict[str, list[str]]:
    """Choices by the name of their control.

    Raises:
        DataError: the annotation marks parts of the text.
    """
    chosen: dict[str, list[str]] = {}
    for one in annotation.get("result", []):
        kind, value = str(one.get("type", "")), one.get("value", {})
        if kind in _SPANS:
            raise DataError(f"{where}: {kind!r} marks a part of the text; fankui learns choices about whole texts")
        if "choices" in value:
            chosen.setdefault(str(one.get("from_name", "label")), []).extend(map(str, value["choices"]))
        else:
            notice = f"results of type {kind!r} are not labels and are passed over"
            if notice not in result.notices:
                result.notices.append(notice)
    return chosen
