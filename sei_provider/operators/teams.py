"""The teams task: read the org trees from SEI and stage them, so that publish can tell who the teams are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from sei_provider import lake as sei_lake
from sei_provider.api.errors import SeiInputError
from sei_provider.hooks.permanent import no_retry_if_permanent
from sei_provider.hooks.sei import SeiHook
from sei_provider.lake.model import ALL_TREES, TreeTeam, checked_table_name
from sei_provider.operators._arguments import (
    Check,
    argument_errors,
    check_flag,
    check_place,
    check_text,
    is_template,
    one_of,
    optional,
)
from sei_provider.operators._lineage import StagingOperator
from sei_provider.operators._secrets import refuse_secrets
from sei_provider.operators._staging import download_folder, spool
from sei_provider.operators._state import TaskCheckpoint
from sei_provider.plural import plural

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.api.teams import Team
    from sei_provider.lake import Manifest
    from sei_provider.lake.staging.pii import PersonalData


class SeiTeamsOperator(StagingOperator):
    """Read the org trees from SEI and stage them in the lake, as one slice.

    Put one such task before the exports of a run and one after them, and give the results of both to
    `SeiPublishOperator` beside those of the exports. It puts the teams into their table, and tells the `team_id` of
    each row that both readings leave no doubt of. The result is one manifest, as of a batch with one scope.

    Needs `account_identifier` in the connection. Each try reads anew, because a reading is of its own moment.

    On request it stages the list of developers too, for a table of its own: ask for it in one of the two tasks.

    :param lake: The lake's place, the same as for the exports. (templated)
    :param org_tree: The name of the only org tree to read; all that the key may read if None. (templated)
    :param table: The table of the teams. (templated)
    :param developers: The policy for names and e-mail addresses in the list of developers: `keep` them, `hash` them
        under the connection's extra `personal_data_secret`, or `drop` their columns. None leaves the list out.
    :param developers_table: The table of the developers. (templated)
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    :param sei_conn_id: The connection. (templated)
    """

    template_fields: Sequence[str] = ("lake", "org_tree", "table", "developers_table", "sei_conn_id")
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        lake: str | PathLike[str],
        org_tree: str | None = None,
        table: str = "teams",
        developers: PersonalData | None = None,
        developers_table: str = "developers",
        single_writer: bool = False,
        sei_conn_id: str = SeiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lake = lake
        self.org_tree = org_tree
        self.table = table
        self.developers = developers
        self.developers_table = developers_table
        self.single_writer = single_writer
        self.sei_conn_id = sei_conn_id
        self._check_arguments(rendered=False)

    def execute(self, context: Context) -> list[Manifest]:
        """Read the trees, then stage them."""
        refuse_secrets(self)
        self._check_arguments(rendered=True)
        hook = SeiHook(self.sei_conn_id)
        with no_retry_if_permanent():
            read = ["org_trees"] if self.developers is None else ["org_trees", "developers"]
            self._sources = [hook.get_dataset(each) for each in read]
            checkpoint = TaskCheckpoint(context, str(self.lake))
            sei_lake.discard(checkpoint.folder)
            started_at = datetime.now(UTC)
            teams, read_at = self._read(hook)
            manifest = sei_lake.stage_teams(
                teams,
                folder=checkpoint.folder,
                table=self.table,
                scope=f"org:{self.org_tree}" if self.org_tree is not None else ALL_TREES,
                started_at=started_at,
                read_at=read_at,
                run_id=context["run_id"],
                origin=hook.get_origin(),
                single_writer=self.single_writer,
            )
            manifests = [manifest, *self._developers(context, hook, checkpoint)]
        self._handed_on = manifests
        trees = len({team.tree for team in teams})
        self.log.info("Read %s of %s", plural(len(teams), "team"), plural(trees, "org tree"))
        return manifests

    def _read(self, hook: SeiHook) -> tuple[list[TreeTeam], datetime]:
        """Return all teams, and when SEI told the last of them, by its clock, or by ours if it tells no time."""
        with hook.get_conn() as client:
            if self.org_tree is not None:
                roots = [(self.org_tree, client.list_teams(self.org_tree))]
            else:
                roots = [(tree.name, client.list_teams(tree)) for tree in client.list_org_trees()]
        teams = [team for tree, root in roots for team in _below(root, tree)]
        return teams, max((root.read_at for _, root in roots if root.read_at), default=datetime.now(UTC))

    def _developers(self, context: Context, hook: SeiHook, checkpoint: TaskCheckpoint) -> Iterator[Manifest]:
        """Stage the list of developers, if it is asked for."""
        if self.developers is None:
            return
        key = hook.get_personal_data_key() if self.developers == "hash" or hook.has_personal_data_key() else None
        with download_folder() as folder, hook.get_conn() as client:
            read_at = datetime.now(UTC)
            yield sei_lake.stage_developers(
                spool(folder / "developers", client.download_developers),
                folder=checkpoint.folder,
                table=self.developers_table,
                read_at=read_at,
                run_id=context["run_id"],
                exported_at=datetime.now(UTC),
                origin=hook.get_origin(),
                personal_data=self.developers,
                hash_key=key,
                single_writer=self.single_writer,
            )

    def _check_arguments(self, *, rendered: bool) -> None:
        checks: dict[str, Check] = {
            "lake": check_place,
            "org_tree": optional(check_text),
            "table": lambda _, value: checked_table_name(value),
            "developers_table": lambda _, value: checked_table_name(value),
            "developers": optional(one_of("keep", "hash", "drop")),
            "sei_conn_id": check_text,
        }
        with argument_errors():
            for name, check in checks.items():
                if rendered or not (name in self.template_fields and is_template(getattr(self, name))):
                    check(name, getattr(self, name))
            check_flag("single_writer", self.single_writer)
            if self.developers is not None and self.table == self.developers_table:
                msg = f"table and developers_table are both {self.table!r}: teams and developers need a table each"
                raise SeiInputError(msg)


def _below(team: Team, tree: str, above: TreeTeam | None = None) -> Iterator[TreeTeam]:
    """Yield a team and all teams below it, parents before their children."""
    found = TreeTeam(
        id=team.id,
        name=team.name,
        path=f"{above.path}/{team.name}" if above else team.name,
        parent_id=above.id if above else None,
        tree=tree,
        depth=above.depth + 1 if above else 0,
        leaf=team.leaf and not team.children,
        developer_count=team.developer_count,
    )
    yield found
    for child in team.children:
        yield from _below(child, tree, found)
