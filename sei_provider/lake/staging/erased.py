"""People who were erased from a lake: `<lake>/_erased` holds a keyed hash of each name and address, and nothing else.

Staging leaves them out, because SEI still has them. The hashes are others than those of a lake that hashes people, so
the list tells nothing of what older copies of the lake hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import NO_TEXT, to_array
from sei_provider.lake.columns import DIMENSIONS, LINEAGE, personal_columns
from sei_provider.lake.errors import PersonalDataError
from sei_provider.lake.personal_key import key_fingerprint
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import names, put_bytes, remove_each

_FOLDER = "_erased"
_LISTED = re.compile(r"[0-9a-f]+-[0-9a-f]{64}")
"""Fingerprint of a key, and hash; other names are foreign, such as a file manager's."""
_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:]+@[^\s<>()\[\]\",;:?'|\u2019]+")
_Rows = TypeVar("_Rows", pa.RecordBatch, pa.Table)


def spellings(text: str) -> frozenset[str]:
    """Return the forms of a name or an address that tell the same person in any case, spacing and Unicode form.

    `Lovelace, Ada` is `ada lovelace` too, and so is `Ada Lovelace (contractor)`; `Ada Lovelace <ada@example.com>` is
    the name, and the address. Characters that nobody sees, such as a soft hyphen or a space without width, make no
    difference, nor does what stands around a name of several words, such as quotes.
    """
    if text.isascii():
        return _spellings(text)
    seen = ["" if unicodedata.category(character) == "Cf" else character for character in text]
    spaced = (visible or " " for visible in seen)
    return _spellings("".join(seen)) | _spellings("".join(spaced))


def _spellings(text: str) -> frozenset[str]:
    whole = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    whole = unicodedata.normalize("NFKC", whole)
    addresses = {found.removeprefix("mailto:").strip(".'\u2018") for found in _ADDRESS.findall(whole)}
    rest = " ".join(_ADDRESS.sub(" ", whole).translate(_WITHOUT_BRACKETS).split()) if addresses else whole
    plain = " ".join(_REMARK.sub(" ", rest).translate(_WITHOUT_QUOTES).split())
    found = {whole, rest, plain, *addresses}
    inner = _without_frame(whole)
    if " " in inner:
        found.add(inner)
    for name in (rest, plain, inner):
        last, comma, first = name.partition(",")
        if comma and "," not in first:
            found.add(f"{first.strip()} {last.strip()}")
    return frozenset(found - {""})


def mentioned(text: str) -> frozenset[str]:
    """Return the forms of all whom a cell may name: a list of people, or a path of managers, names several."""
    found = spellings(text)
    if _BETWEEN_PEOPLE.search(text):
        found = found.union(*map(spellings, _BETWEEN_PEOPLE.split(text)))
    if _MAYBE_BETWEEN_PEOPLE.search(text):
        # `Ada Lovelace, Alan Turing` is a list, `Lovelace, Ada` is one name, so a single word is nobody's here.
        parts = (part.strip() for part in _MAYBE_BETWEEN_PEOPLE.split(text))
        found = found.union(*(spellings(part) for part in parts if len(part.split()) > 1))
    return found


def _without_frame(text: str) -> str:
    """Return a text without the punctuation around it; marks that belong to a letter stay."""
    inside = [index for index, character in enumerate(text) if unicodedata.category(character)[0] not in "PSZ"]
    return text[inside[0] : inside[-1] + 1] if inside else ""


def is_last_of(path: str, match: Callable[[str], bool]) -> bool:
    """Return whether a path of people, `Org/Manager/Contributor`, is one person's own."""
    return match(path.rpartition("/")[2])


def without_manager(path: str, match: Callable[[str], bool]) -> str:
    """Return a path of people in which another word stands for one person."""
    return "/".join(_SOMEBODY if match(part) else part for part in path.split("/"))


_WITHOUT_BRACKETS = str.maketrans(dict.fromkeys('<>()[]"', " "))
_WITHOUT_QUOTES = str.maketrans(dict.fromkeys('"\u201c\u201d\u201e', " "))
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SEPARATORS = r"/;|&\n\r\u2028\u2029\u2022\u3001\uff1b\uff5c\uff06"
_BETWEEN_PEOPLE = re.compile(f"[{_SEPARATORS}]")
_MAYBE_BETWEEN_PEOPLE = re.compile(
    rf"[{_SEPARATORS},:+=\\(){{}}\[\]<>\"\u201c\u201d\u201e\u00ab\u00bb\uff0c\uff1a]|\s[-\u2013\u2014]\s|\s(?:and|with)\s",
    re.IGNORECASE,
)
_SOMEBODY = "(erased)"


@dataclass(frozen=True)
class ErasedPeople:
    """The people whom staging leaves out of a lake."""

    hashes: frozenset[str] = frozenset()
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def load(cls, root: LakePath | None, key: bytes | None) -> ErasedPeople:
        """Read the list of a lake. Raises `PersonalDataError` if there is one that this key cannot tell anything of."""
        listed = [name for name in (names(root / _FOLDER) if root is not None else ()) if _LISTED.fullmatch(name)]
        if not listed:
            return cls()
        if key is None:
            msg = (
                f"{len(listed)} names or addresses have been erased from the lake {root}, and only their key can tell "
                "whose: give the connection the personal_data_secret under which they were erased (hash_key)"
            )
            raise PersonalDataError(msg)
        fingerprint = key_fingerprint(key)
        if strange := [name for name in listed if not name.startswith(f"{fingerprint}-")]:
            theirs = strange[0].partition("-")[0]
            msg = (
                f"{len(strange)} names or addresses have been erased from the lake {root} under another "
                f"personal_data_secret (fingerprint {theirs}, not {fingerprint}), so none of them "
                "could be left out: use that secret, or take them off with `airflow sei erase --undo` under that one "
                "and erase them again under this"
            )
            raise PersonalDataError(msg)
        return cls(frozenset(name.partition("-")[2] for name in listed), key)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def match(self, text: str | None) -> bool:
        """Return whether a text names one of them."""
        if not text or not self.hashes:
            return False
        if text not in self._known:
            if len(self._known) > _MAX_KNOWN:
                self._known.clear()
            self._known[text] = any(_hash(form, self.key or b"") in self.hashes for form in mentioned(text))
        return self._known[text]

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}


NOBODY = ErasedPeople()
_MAX_KNOWN = 100_000


def enter(root: LakePath, people: Iterable[str], key: bytes, *, erased_at: datetime) -> None:
    """Put names and addresses on the list of a lake."""
    for name in _listed_names(people, key):
        put_bytes(root / _FOLDER / name, json.dumps({"erased_at": erased_at.isoformat()}).encode())


def strike(root: LakePath, people: Iterable[str], key: bytes) -> int:
    """Take names and addresses off the list of a lake, and return how many were on it."""
    found = sorted(set(_listed_names(people, key)).intersection(names(root / _FOLDER)))
    remove_each([root / _FOLDER / name for name in found])
    return len(found)


def without(rows: _Rows, report: str, match: Callable[[str], bool]) -> _Rows:
    """Return the rows without those whose person `match` names; a person in another column is emptied there.

    What a person's row is, the columns of developers tell, in a contributor report the team. A manager's name beside a
    team's figures is no reason to lose the figures, nor is a manager's in the path of a contributor.
    """
    own = personal_columns(report)
    if "team_hierarchy" in own and "team_hierarchy" in rows.schema.names:
        rows = _without_in_paths(rows, match)
    for name in text_columns(rows.schema, report):
        found = [text for text in pc.unique(rows[name]).to_pylist() if text and match(text)]
        if not found:
            continue
        theirs = pc.is_in(rows[name], value_set=to_array(found, pa.string()))
        if name in own:
            rows = rows.filter(pc.invert(theirs))
        else:
            index = rows.schema.get_field_index(name)
            emptied = pc.if_else(theirs, NO_TEXT, rows[name])
            rows = rows.set_column(index, rows.schema.field(index), emptied)
    return rows


def _without_in_paths(rows: _Rows, match: Callable[[str], bool]) -> _Rows:
    index, paths = rows.schema.get_field_index("team_hierarchy"), rows["team_hierarchy"]
    renamed = {path: without_manager(path, match) for path in pc.unique(paths).to_pylist() if path}
    changed = {path: other for path, other in renamed.items() if other != path}
    if not changed:
        return rows
    own = to_array((path for path in changed if is_last_of(path, match)), pa.string())
    found = [changed.get(path, path) for path in paths.to_pylist()]
    rest = rows.set_column(index, rows.schema.field(index), to_array(found, pa.string()))
    return rest.filter(pc.invert(pc.is_in(paths, value_set=own)))


def text_columns(schema: pa.Schema, report: str) -> list[str]:
    """Return the columns that may name a person: all text but paths, teams, periods, sprints and lineage."""
    clear = (DIMENSIONS.keys() | {*LINEAGE}) - (personal_columns(report) - {"team_hierarchy"})
    return [column.name for column in schema if pa.types.is_string(column.type) and column.name not in clear]


def _listed_names(people: Collection[str] | Iterable[str], key: bytes) -> list[str]:
    forms = sorted({form for text in people for form in spellings(text)})
    return [f"{key_fingerprint(key)}-{_hash(form, key)}" for form in forms]


def _hash(form: str, key: bytes) -> str:
    return hmac.new(key, b"erased person\0" + form.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
