"""Raw files as SEI sent them, kept beside the lake for audits, and for staging them again after a mistake."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sei_provider.lake.errors import TruncatedError
from sei_provider.lake.model import Slice, checked_table_name
from sei_provider.lake.staging.csv_records import MAX_RECORD_BYTES
from sei_provider.lake.staging.erased import ErasedPeople
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, private, put

_CELL = re.compile(r'"((?:[^"]|"")*)"|([^,\r\n"]+)')
_GZIP = b"\x1f\x8b"


def keep(
    file: Path,
    raw: LakePath,
    slice_: Slice,
    *,
    export_id: str,
    lake: LakePath | None = None,
    hash_key: bytes | None = None,
) -> LakePath:
    """Put a copy of a downloaded file at `<raw>/<table>/<start>_<end>/<scope>-<export id>.csv` (or `.csv.gz`).

    Atomic. On local disk only the owner may read it, whatever the umask: it holds personal data as SEI sent it, without
    the records of people who were erased from `lake`; `hash_key` tells whom. Neither scope nor id can point outside the
    folder. Raises `PersonalDataError` if somebody was erased and the key is missing, then also
    `TruncatedError` for a damaged gzip.
    """
    erased = ErasedPeople.load(lake, hash_key)
    with file.open("rb") as body:
        ending = ".csv.gz" if body.read(2) == _GZIP else ".csv"
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{slice_.scope}-{export_id}")

    def below(folder: LakePath) -> LakePath:
        return folder / checked_table_name(slice_.table) / f"{slice_.start}_{slice_.end}" / f"{name}{ending}"

    target = below(private(lake_path(raw)))
    if erased:
        with scratch_folder() as scratch:
            drop_records(file, scratch / "rest", erased.match)
            put(target, scratch / "rest")
    else:
        put(target, file)
    return below(raw)


def drop_records(file: Path, target: Path, match: Callable[[str], bool]) -> int:
    """Write a raw file without the records of which a cell names a person, and return how many these are.

    The others are not changed. Raises `TruncatedError` for a gzip that is damaged, or ends early.
    """
    with file.open("rb") as body:
        opened = gzip.open if body.read(2) == _GZIP else open
    try:
        return _copy_without(opened, file, target, match)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"the raw file is damaged and cannot be read to its end ({type(error).__name__})"
        raise TruncatedError(msg) from None


def _copy_without(opened: Callable[..., Any], file: Path, target: Path, match: Callable[[str], bool]) -> int:
    lost = 0
    with (
        opened(file, "rt", encoding="utf-8", errors="surrogateescape", newline="") as source,
        opened(target, "wt", encoding="utf-8", errors="surrogateescape", newline="") as rest,
    ):
        for record, cells in _records(source):
            if any(map(match, cells)):
                lost += 1
            else:
                rest.write(record)
    return lost


def _records(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each record as it was sent, and its cells. Damaged quoting only makes records longer or shorter."""
    record = ""
    for line in lines:
        record += line
        if record.count('"') % 2 == 0 or len(record) > MAX_RECORD_BYTES:
            yield record, _cells(record)
            record = ""
    if record:
        yield record, _cells(record)


def _cells(record: str) -> list[str]:
    return [quoted.replace('""', '"') if quoted else plain for quoted, plain in _CELL.findall(record)]
