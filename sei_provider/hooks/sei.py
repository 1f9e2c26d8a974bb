"""Makes clients from an Airflow connection of type `sei`. Knows how a connection is written, nothing of reports."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import AirflowNotFoundException  # whose place differs between 3.1 and 3.3
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.periods import weekday
from sei_provider.hooks.connection import base_url, check_extra, parse_extra
from sei_provider.hooks.redis_address import redis_url
from sei_provider.lake.errors import LakeError
from sei_provider.lake.personal_key import MAKE_A_KEY, require_strong_key
from sei_provider.lineage import DatasetName, report_dataset
from sei_provider.metrics import observer

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from sei_provider.api.call import Call
    from sei_provider.api.client import AsyncSeiClient, SeiClient
    from sei_provider.api.teams import Team

REQUESTS_PER_MINUTE = 400
"""SEI's limit for one API key (CONTRACT, "Limits")."""
_ACCOUNT = re.compile("[A-Za-z0-9_-]+")
"""Account identifiers that are one segment of a page's path."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The organization's calendar: the first day of its week (0 is Monday) and its time zone."""

    week_starts_on: int
    timezone: ZoneInfo


class SeiHook(BaseHook):
    """Makes clients of the SEI export API from an Airflow connection of type `sei`, which it resolves once.

    :param sei_conn_id: The connection. Its host is the cluster's base URL with its path, its password the API
        key; its extras are `org_identifier` and `project_identifier` (required), `account_identifier`,
        `requests_per_minute` (400, SEI's limit for one key), `rate_limit_conn_id` (a connection of type `redis`: there
        all machines count them together), `rate_limit_url` (the same, as a URL without a password) or `machines` (1:
        the number of machines that divide them), `week_starts_on` (Monday), `timezone` (UTC), `ca_bundle` (path of a
        PEM file on every machine), `allow_http` (false: the key is sent over https only, except to this machine
        itself), `personal_data_secret` (the key to hash people's names under) and `level_field` (`metricLevel`, or
        `aggregationLevel` for older clusters, CONTRACT row 9).
    :param deadline: Unix time in seconds after which no call is retried.
    """

    conn_name_attr = "sei_conn_id"
    default_conn_name = "sei_default"
    conn_type = "sei"
    hook_name = "Harness SEI"

    def __init__(self, sei_conn_id: str = default_conn_name, *, deadline: float | None = None) -> None:
        super().__init__()
        self.sei_conn_id = sei_conn_id
        self.deadline = deadline

    def get_conn(self) -> SeiClient:
        """Return a client, which is a context manager. Raises `SeiInputError` if the connection lacks something."""
        from sei_provider.api.client import SeiClient

        connection, extra = self._resolved
        counter = extra.get("rate_limit_conn_id")
        try:
            redis = _masked_url(self.get_connection(counter)) if counter else None
        except AirflowNotFoundException:
            raise self._no_counter(counter) from None
        return SeiClient(**self._settings(connection, extra, redis), observe=observer(self.sei_conn_id, "worker"))

    @asynccontextmanager
    async def aget_conn(self) -> AsyncIterator[AsyncSeiClient]:
        """Open a client for asyncio, for triggers."""
        from sei_provider.api.client import AsyncSeiClient

        try:
            connection = await self.aget_connection(self.sei_conn_id)
        except AirflowNotFoundException:
            raise self._not_found() from None
        # On the event loop, because this tells Airflow what to mask, and on 3.1 no other thread may do so.
        extra = _read_extra(connection)
        counter = extra.get("rate_limit_conn_id")
        try:
            redis = _masked_url(await self.aget_connection(counter)) if counter else None
        except AirflowNotFoundException:
            raise self._no_counter(counter) from None
        # In a thread, because reading certificates and opening the file of the rate limit would block the event loop.
        observe = observer(self.sei_conn_id, "triggerer")
        client = await asyncio.to_thread(
            lambda: AsyncSeiClient(**self._settings(connection, extra, redis), observe=observe)
        )
        async with client:
            yield client

    def list_teams(self, org_tree: str | None = None) -> list[Team]:
        """List the root team of the named org tree, or of every tree, each with all teams below it.

        Needs the extra `account_identifier`.
        """
        with self.get_conn() as client:
            trees = client.list_org_trees() if org_tree is None else [org_tree]
            return [client.list_teams(tree) for tree in trees]

    def get_url(self, call: Call[Any]) -> str:
        """Return the address of a call that reads, without the key."""
        connection, extra = self._resolved
        carried = {"projectIdentifier": extra["project_identifier"], "orgIdentifier": extra["org_identifier"]}
        return f"{base_url(connection)}{call.path}?{urlencode({**carried, **call.params})}"

    def get_page(self, page: str, team_id: str) -> str | None:
        """Return the address of a team's page in SEI, on the connection's host; None without `account_identifier`.

        `page` is `dora`, `productivity` or `business-alignment` (CONTRACT, "Pages to look at").
        """
        connection, extra = self._resolved
        account, url = extra.get("account_identifier", ""), urlsplit(base_url(connection))
        if not _ACCOUNT.fullmatch(account):
            return None
        path = f"/ng/account/{account}/module/sei/insights/{page}"
        return f"{url.scheme}://{url.netloc}{path}?{urlencode({'collectionId': team_id})}"

    def get_calendar(self) -> Calendar:
        """Return the connection's week and time zone. Raises `SeiInputError` if one is unknown."""
        _, extra = self._resolved
        return Calendar(weekday(extra.get("week_starts_on", "monday")), ZoneInfo(extra.get("timezone", "UTC")))

    def get_requests_per_minute(self) -> int:
        """Return the limit of the connection's key, over all machines."""
        _, extra = self._resolved
        limit: int = extra.get("requests_per_minute", REQUESTS_PER_MINUTE)
        return limit

    def get_origin(self) -> dict[str, str | None]:
        """Return account, organization and project of the connection, as far as it names them."""
        _, extra = self._resolved
        names = ("account", "organization", "project")
        values = (extra.get(key) for key in ("account_identifier", "org_identifier", "project_identifier"))
        return {name: str(value) if value else None for name, value in zip(names, values, strict=True)}

    def get_dataset(self, report: str) -> DatasetName:
        """Return a report of the connection's project as a data set of OpenLineage (see `lineage.report_dataset`)."""
        connection, _ = self._resolved
        return report_dataset(base_url(connection), self.get_origin(), report)

    def get_personal_data_key(self) -> bytes:
        """Return the key for hashing names and e-mail addresses: the extra `personal_data_secret`.

        Raises `SeiInputError` if there is none, or if it could be guessed.
        """
        secret = self._personal_data_secret()
        if not secret:
            msg = (
                f"personal data cannot be hashed without the extra personal_data_secret in the connection "
                f"{self.sei_conn_id!r}; {MAKE_A_KEY}"
            )
            raise SeiInputError(msg)
        return secret

    def has_personal_data_key(self) -> bool:
        """Return whether `get_personal_data_key` returns a key."""
        with suppress(SeiInputError):
            return self._personal_data_secret() is not None
        return False

    def test_connection(self) -> tuple[bool, str]:
        """List SEI's newest productivity export: the cheapest call that needs all of a connection to be right."""
        try:
            self.get_calendar()
            self._personal_data_secret()
            with self.get_conn() as client:
                next(client.list_exports("productivity", limit=1), None)
        except SeiError as error:
            return False, str(error)
        return True, "SEI answered and accepted the API key"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of the connection form, for Airflow 3.1: later ones read the provider's metadata."""
        from sei_provider.hooks.connection_form import widgets

        return widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the changes to the fields that every connection has, for Airflow 3.1."""
        from sei_provider.hooks.connection_form import field_behaviour

        return field_behaviour()

    def _personal_data_secret(self) -> bytes | None:
        _, extra = self._resolved
        secret = str(extra.get("personal_data_secret") or "").encode()
        if not secret:
            return None
        try:
            named = f"the extra personal_data_secret of the connection {self.sei_conn_id!r}"
            return require_strong_key(secret, named=named)
        except LakeError as error:
            raise SeiInputError(str(error)) from None

    @cached_property
    def _resolved(self) -> tuple[Connection, dict[str, Any]]:
        """The connection and its extras: resolved once, because each time is a call to Airflow's API server."""
        try:
            connection = self.get_connection(self.sei_conn_id)
        except AirflowNotFoundException:
            raise self._not_found() from None
        return connection, _read_extra(connection)

    def _not_found(self) -> SeiInputError:
        name = self.sei_conn_id.upper()
        return SeiInputError(
            f"there is no connection {self.sei_conn_id!r}: make one of the type Harness SEI in the web UI (Admin, "
            f"Connections), or as JSON in the environment variable AIRFLOW_CONN_{name}; a value there that Airflow "
            "cannot read counts as none"
        )

    def _no_counter(self, name: str | None) -> SeiInputError:
        return SeiInputError(
            f"the connection {self.sei_conn_id!r} has rate_limit_conn_id={name!r}, and there is no connection of that "
            "id: make one of the type redis"
        )

    def _settings(self, connection: Connection, extra: dict[str, Any], redis: str | None = None) -> dict[str, Any]:
        missing = [name for name in ("org_identifier", "project_identifier") if not extra.get(name)]
        missing += [] if (connection.host or "").strip() else ["host"]
        if not connection.password:
            behind = ", which stands behind a colon in a URI, as in sei://:KEY@host/path" if connection.login else ""
            missing.append(f"password (the API key{behind})")
        if missing:
            msg = f"the connection {self.sei_conn_id!r} needs a value for: {', '.join(missing)}"
            raise SeiInputError(msg)
        settings = {
            "base_url": base_url(connection),
            "api_key": connection.password,
            "org_identifier": extra["org_identifier"],
            "project_identifier": extra["project_identifier"],
            "account_identifier": extra.get("account_identifier"),
            "requests_per_minute": self._share(extra),
            "rate_limit_url": redis or extra.get("rate_limit_url"),
            "level_field": extra.get("level_field", "metricLevel"),
            "allow_http": extra.get("allow_http", False),
            "deadline": self.deadline,
        }
        if ca_bundle := extra.get("ca_bundle"):
            try:
                settings["verify"] = ssl.create_default_context(cafile=ca_bundle)
            except (OSError, ValueError) as error:  # ssl.SSLError is one too
                msg = f"the ca_bundle {ca_bundle!r} of connection {self.sei_conn_id!r} cannot be read: {error}"
                raise SeiInputError(msg) from error
        return settings

    def _share(self, extra: dict[str, Any]) -> int:
        """Return this machine's share of the key's requests per minute; all of them where machines count in Redis."""
        limit, machines = extra.get("requests_per_minute", REQUESTS_PER_MINUTE), extra.get("machines", 1)
        share: int = limit if extra.get("rate_limit_conn_id") or extra.get("rate_limit_url") else limit // machines
        if share < 1:
            msg = (
                f"the connection {self.sei_conn_id!r} has requests_per_minute={limit} and machines={machines}; "
                "both must be whole numbers that leave each machine at least 1"
            )
            raise SeiInputError(msg)
        return share


def _masked_url(counter: Connection) -> str:
    """Return the URL of a Redis, and have Airflow mask its password in logs as the URL spells it too."""
    if counter.password:
        mask_secret([counter.password, quote(counter.password, safe="")])
    return redis_url(counter)


def _read_extra(connection: Connection) -> dict[str, Any]:
    """Return the connection's extras, checked, and have Airflow mask their secrets in logs first.

    Airflow itself masks extras with a telltale name only, on 3.1 not all of them, and no password within a URL.
    """
    extra = parse_extra(connection)
    if secret := extra.get("personal_data_secret"):
        mask_secret(str(secret))
    # A lenient split: the client checks whether it is a URL, once nothing of it can leak into a log.
    credentials, at, _ = str(extra.get("rate_limit_url") or "").rpartition("@")
    if at and (password := credentials.rpartition(":")[2]):
        mask_secret([password, unquote(password)])
    return check_extra(connection, extra)
