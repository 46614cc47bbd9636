"""Labelled data of other people: read from tables, plain lines, Label Studio and doccano into training records.

`read_labelled` reads a file as it stands; `LabelReader` turns its values into labels of a taxonomy.
"""

from training.imports.reading import read_labelled, read_texts
from training.imports.records import usable_records
from training.imports.rows import ImportOptions, LabelledFile, Problem, RawRow
from training.imports.values import LabelReader

__all__ = [
    "ImportOptions",
    "LabelReader",
    "LabelledFile",
    "Problem",
    "RawRow",
    "read_labelled",
    "read_texts",
    "usable_records",
]
