"""The made-up organisation: its org trees, their teams and developers.

Team k is the same in every organisation of at least k teams.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sei_provider.sandbox.data.tree_changes import TreeChange

TREE_NAME = "Engineering"


@dataclass(frozen=True, slots=True)
class Developer:
    """One person; `number` tells apart namesakes of one team, an e-mail address may be empty."""

    number: int
    name: str
    email: str


@dataclass(frozen=True, slots=True, eq=False)
class Team:
    """One node of an org tree; an inner team has children and one developer, its manager."""

    id: str
    name: str
    hierarchy: str
    """The names from the root down, joined by "/"; a name may itself hold a slash."""
    group: int
    """Number of the group that the team is or belongs to, from 0; -1 for the root."""
    developers: tuple[Developer, ...]
    children: tuple[Team, ...] = ()

    def walk(self) -> Iterator[Team]:
        """Yield this team and all below it, parents first: an export of a team includes its child teams (002)."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, eq=False)
class OrgTree:
    """One org tree, with the name of its root team."""

    id: int
    """A number of its own, not its root team's id."""
    root: Team

    @property
    def name(self) -> str:
        """The name by which a scope asks for it."""
        return self.root.name


class Organisation:
    """Two org trees: `Engineering` with `teams` leaf teams, and `Research`, small and always the same.

    Engineering has three levels: its root, groups of eight teams, and the teams. Ids are numbers as strings: the root
    is `1`, the groups `10`, `20`, …, their teams `11` to `18`, `21` to `28`, …. Research has the ids `2` to `6`.
    """

    def __init__(self, teams: int = 40) -> None:
        groups = range((teams + _GROUP_SIZE - 1) // _GROUP_SIZE)
        root = Team(
            id="1",
            name=TREE_NAME,
            hierarchy=TREE_NAME,
            group=-1,
            developers=_developers("1", 1),
            children=tuple(_group(group, min(_GROUP_SIZE, teams - group * _GROUP_SIZE)) for group in groups),
        )
        self._show((OrgTree(101, root), OrgTree(102, _research())))
        self.cached_trees = self.trees
        """Trees before the last change, which a read that may be old gives (CONTRACT, "Freshness")."""
        self._last_id = max(int(team_id) for team_id in self._by_id)

    @property
    def leaves(self) -> tuple[Team, ...]:
        """The leaf teams of Engineering, in the order of their ids."""
        return tuple(team for team in self.root.walk() if not team.children)

    def change(self, changes: Iterable[TreeChange]) -> None:
        """Change the trees, all at one moment: what reads them sees all the changes or none.

        Exports keep the teams that they were made with. Raises `ValueError` for a team that does not exist, a root that
        is moved or deleted, and a team that is moved below itself.
        """
        nodes = {team.id: team for tree in self.trees for team in tree.root.walk()}
        above = {child.id: team.id for team in nodes.values() for child in team.children}
        for apply in changes:
            self._last_id = apply(nodes, above, self._last_id)
        below: dict[str, list[str]] = {}
        for team_id, parent in above.items():
            below.setdefault(parent, []).append(team_id)

        def rebuilt(team_id: str, beginning: str) -> Team:
            hierarchy = beginning + nodes[team_id].name
            children = tuple(rebuilt(child, f"{hierarchy}/") for child in below.get(team_id, ()))
            return replace(nodes[team_id], hierarchy=hierarchy, children=children)

        self.cached_trees = self.trees
        self._show(tuple(OrgTree(tree.id, rebuilt(tree.root.id, "")) for tree in self.trees))

    def _show(self, trees: tuple[OrgTree, ...]) -> None:
        self.trees, self.root = trees, trees[0].root
        self._by_id = {team.id: team for tree in trees for team in tree.root.walk()}

    def team(self, team_id: str) -> Team | None:
        """Return the team with this id, or None."""
        return self._by_id.get(team_id)

    def tree(self, name: str) -> OrgTree | None:
        """Return the org tree with this name, or None."""
        return next((tree for tree in self.trees if tree.name == name), None)


_GROUP_SIZE = 8
_GROUP_NAMES = ("Platform", "Product, Growth", "Kundenservice Süd", "Data/ML", 'The "Fast" Lane')
# The first group holds every name that a CSV reader is likely to get wrong (CONTRACT, section 3).
_TEAM_NAMES = (
    "Platform Team",
    "NA",
    "null",
    "Payments, Refunds and Disputes",
    'The "Blue" Team',
    "Équipe Réseau",
    "iOS/Android",
    "データ基盤",
)
# The teams in which two developers share a name: with an e-mail address each, and without.
_NAMESAKES = {"11": True, "15": False}


def _research() -> Team:
    """Return a tree with leaves at different depths; one has a name that Engineering has too, one is empty."""
    root, labs = "Research", "Research/Labs"
    leaves = (
        Team("4", "Platform Team", f"{labs}/Platform Team", 0, _developers("4", 3)),
        Team("5", "Vacant", f"{labs}/Vacant", 0, ()),
    )
    children = (
        Team("3", "Labs", labs, 0, _developers("3", 1), leaves),
        Team("6", "Field Studies", f"{root}/Field Studies", 1, _developers("6", 2)),
    )
    return Team("2", root, root, -1, _developers("2", 1), children)


def _group(group: int, size: int) -> Team:
    team_id = str((group + 1) * 10)
    name = _GROUP_NAMES[group] if group < len(_GROUP_NAMES) else f"Group {team_id}"
    hierarchy = f"{TREE_NAME}/{name}"
    leaves = tuple(_leaf(group, place, hierarchy) for place in range(size))
    return Team(team_id, name, hierarchy, group, _developers(team_id, 1), leaves)


def _leaf(group: int, place: int, parent: str) -> Team:
    number = (group + 1) * 10 + place + 1
    team_id = str(number)
    name = _TEAM_NAMES[place] if group == 0 else f"Team {team_id}"
    return Team(team_id, name, f"{parent}/{name}", group, _developers(team_id, 3 + number * 7 % 4))


def _developers(team_id: str, count: int) -> tuple[Developer, ...]:
    """Return `count` developers; in teams that have namesakes the last has the first one's name."""
    labels = {number: f"{int(team_id):02}-{number:02}" for number in range(1, count + 1)}
    found = [Developer(number, f"Developer {at}", f"developer-{at}@example.com") for number, at in labels.items()]
    if team_id in _NAMESAKES:
        found[-1] = replace(found[-1], name=found[0].name)
        if not _NAMESAKES[team_id]:
            found[0], found[-1] = replace(found[0], email=""), replace(found[-1], email="")
    return tuple(found)
