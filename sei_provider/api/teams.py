"""Org trees and their teams, read from SEI's replies (CONTRACT, "The calls"). Knows no transport."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sei_provider.api import bounds
from sei_provider.api.errors import SeiReplyError
from sei_provider.api.redaction import sanitize
from sei_provider.api.validation import is_sent_id, is_sent_name

_PAST_COUNTS = 2**31
"""More teams or developers than this is no count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgTree:
    """An org tree: its id and name, and the id of its root team and the number of its teams where SEI tells them."""

    id: int
    name: str
    root_team_id: str | None = None
    team_count: int | None = None

    @classmethod
    def from_reply(cls, reply: object) -> OrgTree:
        """Read one record of the list of org trees; raises `SeiReplyError` if it has no id or no name."""
        if not isinstance(reply, Mapping):
            raise _tree_error(reply)
        tree_id, name, root = reply.get("id"), reply.get("name"), reply.get("rootTeamRefId")
        if not isinstance(tree_id, int) or not is_sent_id(tree_id) or not is_sent_name(name):
            raise _tree_error(reply)
        return cls(
            id=tree_id,
            name=name,
            root_team_id=None if root is None else _team_id(root, reply),
            team_count=_count(reply.get("teamCount")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team and the teams below it.

    `id` is the team id of an export's scope. `developer_count` is None where SEI does not tell it. `leaf` means that
    the team has no child teams. `read_at` is when SEI told of a tree, by the reply's own `Date` header; the root of the
    tree has it.
    """

    id: str
    name: str
    children: tuple[Team, ...] = ()
    developer_count: int | None = None
    leaf: bool = True
    read_at: datetime | None = field(default=None, compare=False)

    @classmethod
    def from_reply(cls, reply: object) -> Team:
        """Read the nested reply about a tree's teams.

        Raises `SeiReplyError` for a team without id or name, one that comes twice or below itself, or a tree of
        more than a hundred levels, or whose paths are too long in all.
        """
        root = _read(reply, above=(), seen=set())
        if (chars := _path_chars(root)) > bounds.TREE_PATH_CHARS:
            msg = (
                f"SEI's tree of teams has paths of {chars:,} characters in all; at most {bounds.TREE_PATH_CHARS:,} are "
                "read"
            )
            raise SeiReplyError(msg)
        return root

    def walk(self) -> Iterator[Team]:
        """Iterate over this team and all teams below it, parents before their children."""
        yield self
        for child in self.children:
            yield from child.walk()


def _read(reply: object, above: tuple[str, ...], seen: set[str]) -> Team:
    if not isinstance(reply, Mapping):
        raise _team_error(reply)
    team_id = _team_id(reply.get("refId"), reply)
    name = reply.get("name") or reply.get("displayName")
    children = reply.get("children") or []
    if not is_sent_name(name) or not isinstance(children, list):
        raise _team_error(reply)
    shown = sanitize(team_id)
    if team_id in above:
        msg = f"SEI's tree of teams goes in a circle: team {shown} is below itself"
        raise SeiReplyError(msg)
    if team_id in seen:
        msg = f"SEI's tree of teams names team {shown} twice, the second time below team {sanitize(above[-1])}"
        raise SeiReplyError(msg)
    if len(above) >= bounds.TREE_LEVELS:
        msg = f"SEI's tree of teams is deeper than {bounds.TREE_LEVELS} levels; the deepest read is team {shown}"
        raise SeiReplyError(msg)
    seen.add(team_id)
    leaf = reply.get("leaf")
    return Team(
        id=team_id,
        name=name,
        children=tuple(_read(child, (*above, team_id), seen) for child in children),
        developer_count=_count(reply.get("developerCount")),
        leaf=leaf if isinstance(leaf, bool) else not children,
    )


def _path_chars(team: Team, above: int = 0) -> int:
    """Return the characters of the paths of a team and of all teams below it, each path from the root."""
    own = above + len(team.name) + 1
    return own + sum(_path_chars(child, own) for child in team.children)


def _team_id(ref_id: object, reply: Mapping[str, Any]) -> str:
    """Return the `teamId` of an export's scope for a `refId`: its text, which SEI documents nowhere (CONTRACT [?])."""
    if not is_sent_id(ref_id):
        raise _team_error(reply)
    return str(ref_id)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _PAST_COUNTS else None


def _tree_error(reply: object) -> SeiReplyError:
    return SeiReplyError(f"SEI's reply holds an org tree without a usable id or name; it has: {_shape(reply)}")


def _team_error(reply: object) -> SeiReplyError:
    return SeiReplyError(
        f"SEI's reply holds a team without a usable refId, name or list of children; it has: {_shape(reply)}"
    )


def _shape(reply: object) -> str:
    """Describe a reply without its values: its fields, or its type."""
    return sanitize(", ".join(sorted(map(str, reply)))) if isinstance(reply, Mapping) else type(reply).__name__
