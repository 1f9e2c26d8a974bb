"""The list of developers, as CSV."""

from __future__ import annotations

import csv
import io

from sei_provider.sandbox.data.organisation import Organisation


def test_all_developers_come_at_once_as_csv(instant) -> None:
    answer = instant.http.get("/v2/developers", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text), strict=True))
    teams = [team for tree in Organisation(40).trees for team in tree.root.walk()]
    assert len(rows) == sum(len(team.developers) for team in teams)
    assert rows[0]["Name"] == "Developer 01-01"


def test_without_the_header_or_with_an_unknown_parameter_the_call_is_refused(instant) -> None:
    assert instant.http.get("/v2/developers").status_code == 406
    assert instant.http.get("/v2/developers", params={"page": 0}, headers={"Accept": "text/csv"}).status_code == 400
