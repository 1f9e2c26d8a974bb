"""Route of the list of developers (CONTRACT, "The calls"), as CSV. Its columns are documented nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from sei_provider.sandbox.data.csv import format_csv
from sei_provider.sandbox.http.auth import IdentifierQuery
from sei_provider.sandbox.http.errors import ApiError
from sei_provider.sandbox.http.validation import parse

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.data.organisation import Organisation
    from sei_provider.sandbox.http.auth import Auth


def developer_route(prefix: str, auth: Auth, organisation: Organisation) -> Route:
    """Return the call at its path behind a prefix. The JSON pages that it also has are described nowhere."""

    async def developers(request: Request) -> Response:
        auth.check(request)
        parse(IdentifierQuery, request.query_params)
        if request.headers.get("accept") != "text/csv":
            raise ApiError(406, "NOT_ACCEPTABLE", "This sandbox lists developers with the header Accept: text/csv only")
        return Response(format_csv(_rows(organisation)), media_type="text/csv")

    return Route(f"{prefix}/v2/developers", developers, methods=["GET"])


def _rows(organisation: Organisation) -> list[list[str]]:
    """Return a header, and one row per developer of each team."""
    teams = [team for tree in organisation.trees for team in tree.root.walk()]
    people = [(team, developer) for team in teams for developer in team.developers]
    rows = [[f"{team.id}-{developer.number}", developer.name, developer.email] for team, developer in people]
    return [["Developer Id", "Name", "Email"], *rows]
