"""Files of a distributed run: on a path that all machines see, or behind a URL that fsspec reads (``s3://…``)."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from serving.checkpoint import json_bytes, read_json, write_json
from serving.label_errors import ExtraMissing, LabellingError, StorageFailed
from serving.label_paths import expanded, is_input_name

_MARKS: Final = ("ETag", "etag", "md5Hash", "md5", "content_md5", "crc32c", "mtime", "LastModified", "last_modified")
"""Under which names file systems say what changes with a file's content, the surest first."""
_S3: Final = ("s3", "s3a")


def is_url(place: str) -> bool:
    """Whether a place is a URL, not a path."""
    return "://" in place


def inside(folder: str, name: str) -> str:
    """The place of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else str(Path(folder) / name)


def absolute(place: str) -> str:
    """A place as every machine names it: an absolute path, or a URL in the form its file system gives it."""
    if not is_url(place):
        return str(Path(place).absolute())
    with _opened(place) as (system, path):
        return str(system.unstrip_protocol(path))


def check_bucket(place: str) -> None:
    """See to it that the bucket of an ``s3://`` URL is there; other places are found out about where they are used.

    Args:
        place: a path, or a URL.

    Raises:
        StorageFailed: there is no such bucket, or its service cannot be asked.
        ExtraMissing: a library for it is not installed.
    """
    if place.partition("://")[0] not in _S3:
        return
    with _opened(place) as (system, path):
        bucket = path.partition("/")[0]
        try:
            with contextlib.suppress(PermissionError):  # one may be allowed what is in a bucket, and not to ask for it
                system.info(bucket)
        except FileNotFoundError as error:
            raise StorageFailed(place, LookupError(f"there is no bucket {bucket}")) from error


def tables_in(given: str, kind: str | None, output: str) -> list[tuple[str, str, int]]:
    """The tables that a path, a folder, a pattern or a URL of one means.

    Args:
        given: what the person said.
        kind: a format that files of a pattern have, whatever their names say.
        output: where labels go; when it is a folder inside the one given, what lies in it is no input.

    Returns:
        For each its place, its name inside the folder, and its bytes; sorted by place.

    Raises:
        StorageFailed: the URL cannot be read.
        ExtraMissing: a library for it is not installed.
    """
    if not is_url(given):
        found = [(path.absolute(), within) for path, within in expanded(given, kind, output)]
        return [(str(path), str(within), path.stat().st_size if path.is_file() else 0) for path, within in found]
    check_bucket(given)
    with _opened(given) as (system, path):
        if (magic := re.search(r"[*?\[]", path)) is not None:
            files, root = system.glob(path, detail=True), None
            folder = path[: magic.start()].rpartition("/")[0]
        elif system.isdir(path):
            files, root, folder = system.find(path, detail=True), PurePosixPath(path), path
        else:
            return [(given, PurePosixPath(path).name, int(system.info(path)["size"]))]
        tables, own, around = [], output.rstrip("/") + "/", system.unstrip_protocol(folder).rstrip("/") + "/"
        lies_inside = own.startswith(around) and own != around
        for name, info in sorted(files.items()):
            within = PurePosixPath(name).relative_to(root) if root else PurePosixPath(PurePosixPath(name).name)
            place = system.unstrip_protocol(name)
            if lies_inside and place.startswith(own):
                continue
            if info["type"] == "file" and ((kind and root is None) or is_input_name(within)):
                tables.append((place, str(within), int(info["size"])))
        return tables


def identity(place: str) -> dict[str, str] | None:
    """What tells a file from an earlier one in its place without reading it; None where there is none.

    Raises:
        StorageFailed: the URL cannot be read.
    """
    if not is_url(place):
        with contextlib.suppress(FileNotFoundError):
            stat = Path(place).stat()
            return {"bytes": str(stat.st_size), "mark": str(stat.st_mtime_ns)}
        return None
    with _opened(place) as (system, path):
        if not system.exists(path):
            return None
        info = system.info(path)
        return {"bytes": str(info["size"]), "mark": str(next((info[name] for name in _MARKS if name in info), None))}


def read_record(place: str) -> dict[str, Any] | None:
    """A JSON object in a place, or None where there is none or a broken one."""
    if not is_url(place):
        return read_json(Path(place))
    with _opened(place) as (system, path):
        try:
            values = json.loads(system.cat_file(path))
        except (FileNotFoundError, ValueError):
            return None
    return values if isinstance(values, dict) else None


def write_record(place: str, values: Mapping[str, Any]) -> None:
    """Write a JSON object to a place."""
    if not is_url(place):
        write_json(Path(place), values)
        return
    with _opened(place) as (system, path):
        _make_folder(system, path)
        system.pipe_file(path, json_bytes(values))


def fetch(url: str, folder: Path) -> Path:
    """Copy a file from a URL into a folder; its path there.

    Raises:
        StorageFailed: it cannot be read.
    """
    with _opened(url) as (system, path):
        local = folder / PurePosixPath(path).name
        system.get_file(path, str(local))
        return local


def store(local: Path, url: str) -> None:
    """Copy a file to a URL, in place of what is there.

    Raises:
        StorageFailed: it cannot be written.
    """
    with _opened(url) as (system, path):
        _make_folder(system, path)
        system.put_file(str(local), path)


def remove(url: str) -> None:
    """Remove the file at a URL, if there is one."""
    with _opened(url) as (system, path):
        if system.exists(path):
            system.rm_file(path)


def _make_folder(system: Any, path: str) -> None:
    # paths of object stores begin with their bucket: they need no folders, and would make a bucket where there is none
    if path.startswith("/"):
        system.makedirs(PurePosixPath(path).parent.as_posix(), exist_ok=True)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ExtraMissing("a URL", "fankui[ray]", error) from error
    try:
        yield fsspec.core.url_to_fs(url)
    except ImportError as error:  # fsspec names the library that knows the protocol, such as s3fs
        raise ExtraMissing(url, None, error) from error
    except LabellingError:
        raise
    except Exception as error:
        # Each file system's library has errors of its own, such as botocore's NoCredentialsError.
        raise StorageFailed(url, error) from error
