"""Erase a person from tables, staging, quarantine and raw copies, and from what is staged afterwards.

SEI still has the person, and so may older versions of objects and backups.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache

import pyarrow as pa
import stamina

from sei_provider.lake.columns import personal_columns
from sei_provider.lake.distinct import factorize
from sei_provider.lake.errors import ConflictError, DamagedObjectError, PersonalDataError
from sei_provider.lake.model import SliceKey
from sei_provider.lake.periods import in_utc
from sei_provider.lake.personal_key import key_fingerprint, require_strong_key
from sei_provider.lake.staging.erased import (
    enter,
    is_last_of,
    mentioned,
    spellings,
    strike,
    without,
    without_manager,
)
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import (
    lake_path,
    locked,
    private,
    require_safe_writes,
)
from sei_provider.lake.tables.coverage_summary import refresh_summary
from sei_provider.lake.tables.erase_objects import (
    Erased,
    Match,
    from_quarantine,
    from_raw,
    from_staging,
    note_damaged,
    other_paths,
)
from sei_provider.lake.tables.layout import object_path, table_folder
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.month_schema import arrow_schema, cast_to_schema
from sei_provider.lake.tables.schema import PERSONAL_DATA
from sei_provider.lake.tables.stored_schema import table_names
from sei_provider.lake.tables.table import Content, Partition, Snapshot, commit, snapshot


def erase(
    lake: Lake,
    people: Sequence[str],
    *,
    hash_key: bytes,
    erased_at: datetime,
    raw_path: Lake | None = None,
    single_writer: bool = False,
) -> list[Erased]:
    """Erase one person, given by all names and e-mail addresses, and return where the person was.

    A developer's rows are removed; in a column that says something else of a row, such as a manager, the person is
    emptied. Names match in any case, Unicode form and spacing, `Last, First` too; under `personal_data="hash"` by their
    hashes. Each month changes by one atomic put. The person's keyed hash is put into `<lake>/_erased` first, so that
    staging leaves the person out from then on, under every policy and with this `hash_key` only; `unerase` undoes that.
    `raw_path` is where raw copies were kept. Idempotent; run it again once publish tasks that ran meanwhile have ended.
    SEI still has the person: delete them there too.
    Raises `PersonalDataError` if tables are hashed under another key, and `DamagedObjectError` if objects cannot be
    read, each after all else is done.
    """
    root, erased_at = lake_path(lake), in_utc(erased_at, "erased_at")
    key = require_strong_key(hash_key, named="hash_key")
    require_safe_writes(root, single_writer=single_writer)
    match = _match(people, key)
    enter(root, people, key, erased_at=erased_at)
    damaged: list[str] = []
    found = [*from_staging(root, match, damaged), *from_quarantine(root, match, damaged)]
    found += from_raw(private(lake_path(raw_path)), match, damaged) if raw_path is not None else ()
    out_of_reach = []
    for table in table_names(root):
        if not _is_within_reach(table_folder(root, table), key):
            out_of_reach.append(table)
        found += _from_table(table_folder(root, table), match, damaged)
    if damaged:
        msg = (
            f"{', '.join(damaged)} cannot be read because of damage, so the person may still be there: restore or "
            "remove each, and run this again; everywhere else the person is erased"
        )
        raise DamagedObjectError(msg)
    if out_of_reach:
        msg = (
            f"the tables {', '.join(out_of_reach)} hold hashes under another personal_data_secret, so the person could "
            "not be found there: run this again with that secret; everywhere else the person is erased"
        )
        raise PersonalDataError(msg)
    return found


def unerase(lake: Lake, people: Sequence[str], *, hash_key: bytes, single_writer: bool = False) -> int:
    """Take a person off `<lake>/_erased`, so that later exports bring them back; return how many hashes were there.

    Rows that were erased come back only with another export.
    """
    root = lake_path(lake)
    require_safe_writes(root, single_writer=single_writer)
    _require_people(people)
    return strike(root, people, hash_key)


def _require_people(people: Sequence[str]) -> None:
    if isinstance(people, str) or not [text for text in people if spellings(text)]:
        msg = "nobody was named: give a list of all names and e-mail addresses of one person"
        raise PersonalDataError(msg)


def _match(people: Sequence[str], key: bytes) -> Match:
    """Return whether a stored text is the person's, in clear or as a hash under the key."""
    _require_people(people)
    forms = {form for text in people for form in spellings(text)}
    hashes = {
        hmac.new(key, unicodedata.normalize(form, text).strip().casefold().encode(), hashlib.sha256).hexdigest()
        for text in _writings(people, forms)
        for form in ("NFC", "NFD", "NFKC", "NFKD")
    }

    @lru_cache(maxsize=100_000)
    def match(text: str) -> bool:
        return text in hashes or not forms.isdisjoint(mentioned(text))

    return match


def _writings(people: Sequence[str], forms: Collection[str]) -> Iterator[str]:
    """Yield how a cell may have been written before it was hashed: only the very text has its hash."""
    yield from people
    yield from forms
    addresses = [form for form in forms if "@" in form and " " not in form]
    for address in addresses:
        yield from (f"mailto:{address}", f"<{address}>")
    for name in forms:
        if "@" in name:
            continue
        first, _, last = name.rpartition(" ")
        yield from (name.replace(" ", space) for space in _SPACES)
        yield from (f"{last}, {first}", f"{last},{first}")
        for address in addresses:
            yield from (f"{name} <{address}>", f"{name} ({address})")


_SPACES = ("  ", "\u00a0", "\t", "\n", "\r\n")


def _is_within_reach(folder: LakePath, key: bytes) -> bool:
    policy = str(snapshot(folder).schema.definition.get(PERSONAL_DATA) or "")
    return not policy.startswith("hash ") or policy == f"hash {key_fingerprint(key)}"


@dataclass(slots=True)
class _WithoutPerson:
    """Content of a month without a person; its ledger is right once the rows were read."""

    partition: Partition
    schema: pa.Schema
    report: str
    match: Match
    _lost: Counter[SliceKey] = field(default_factory=Counter)

    @property
    def ledger(self) -> list[LedgerEntry]:
        return [
            replace(_without_paths(entry, self.report, self.match), rows=entry.rows - self._lost[entry.slice_key])
            for entry in self.partition.ledger
        ]

    def pieces(self) -> Iterator[pa.Table]:
        for table in self.partition.tables():
            rows = cast_to_schema(table, self.schema)
            rest = without(rows, self.report, self.match)
            if len(rest) < len(rows):
                self._lost += _by_slice(rows)
                self._lost -= _by_slice(rest)
            yield rest

    @property
    def lost(self) -> int:
        """Rows that it lost."""
        return self._lost.total()


def _from_table(folder: LakePath, match: Match, damaged: list[str]) -> list[Erased]:
    found: dict[date, Erased] = {}
    with locked(folder):
        for attempt in stamina.retry_context(on=ConflictError, attempts=10, timeout=None):
            with attempt:
                before = snapshot(folder)
                commit(before, _changes(before, folder.name, match, found, damaged), before.schema)
        refresh_summary(folder, found)
    return [found[month] for month in sorted(found)]


def _changes(
    before: Snapshot, table: str, match: Match, found: dict[date, Erased], damaged: list[str]
) -> Iterator[tuple[date, Content]]:
    report = str(before.schema.definition.get("report"))
    for month in before.months:
        with scratch_folder() as scratch:
            try:
                current = before.rows(month, scratch)
                if current is None or not _holds(current, report, match):
                    continue
            except DamagedObjectError:
                note_damaged(damaged, object_path(before.folder, month))
                continue
            content = _WithoutPerson(current, arrow_schema(before.schema), report, match)
            yield month, content
            found[month] = Erased(place="table", path=f"{table}/month={month:%Y-%m}", rows=content.lost)


def _holds(current: Partition, report: str, match: Match) -> bool:
    return any(_without_paths(entry, report, match) != entry for entry in current.ledger) or any(
        _differs(table, report, match) for table in current.tables()
    )


def _differs(rows: pa.Table, report: str, match: Match) -> bool:
    return without(rows, report, match) is not rows


def _without_paths(entry: LedgerEntry, report: str, match: Match) -> LedgerEntry:
    """Return a ledger entry without the person, whom only a contributor report names as a team."""
    if "team" not in personal_columns(report):
        return entry
    teams, tombstones, put_aside = (
        frozenset(other_paths(paths, match)) for paths in (entry.teams, entry.tombstones, entry.put_aside)
    )
    parents = frozenset(
        (without_manager(path, match), without_manager(parent, match))
        for path, parent in entry.parents
        if not is_last_of(path, match)
    )
    return replace(entry, teams=teams, parents=parents, tombstones=tombstones, put_aside=put_aside)


def _by_slice(rows: pa.Table) -> Counter[SliceKey]:
    codes, keys = factorize(rows, ["_scope", "_export_id", "_exported_at"])
    return Counter({keys[code]: count for code, count in Counter(codes.to_pylist()).items()})
