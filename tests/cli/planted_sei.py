"""A made-up SEI whose every name, id, address and value is planted, so that none of them may be in a probe's text.

It knows the calls from CONTRACT and nothing of the probe. Answers, headers and cells are drawn for each case.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from random import Random
from typing import Any

import httpx

SAFE_WORDS = ("Quality", "Release", "Bugs", "Product", "Support", "Sprint", "Jan 2026", "Team", "Mean Time")
"""Words that headers and labels may have, so a name of several of them is caught only as a whole."""
_ODD = (
    "",
    " ",
    "/",
    "|",
    "`",
    '"',
    ",",
    "\n",
    "_",
    " & ",
    ": ",
    "é",
    "データ",
    "<b>",
    "*",
    " Lead ",
    "_tickets_",
    "-2026-01-05-",
)

_CONSONANTS = "bcdfghjkmpqvwxz"


def marker(random: Random) -> str:
    """Return the part of a name by which it is known: no word of any language."""
    return "zq" + "".join(random.choices(_CONSONANTS, k=random.randint(3, 6)))


def name(random: Random) -> str:
    """Return a name in the forms that people use: one word or several, with marks, digits and known words."""
    known = marker(random)
    known = random.choice([known, known.upper(), known.title()])
    words = random.choice(["", *SAFE_WORDS])
    return f"{words}{random.choice(_ODD)}{known}{random.choice(_ODD)}".strip() or known


class PlantedSei:
    """One such SEI: `transport` answers as it, `planted` is all that a probe's text must not hold."""

    host = "https://zqhost.example.com/zqpath"

    def __init__(self, random: Random, *, header_style: str, refused: set[str], from_root: bool) -> None:
        self._random = random
        self._header_style = header_style
        self._refused = refused
        self._from_root = from_root
        self.planted: set[str] = {"zqhost", "zqpath", "zqorg", "zqproject", "zqaccount", "zqkey"}
        self.names = {"org_identifier": "zqorg", "project_identifier": "zqproject"}
        self.transport = httpx.MockTransport(self._answer)
        self._tree, self._group, self._team = (self._name() for _ in range(3))
        self._ids = [self._number() for _ in range(4)]
        self._made: dict[str, str] = {}

    def _name(self) -> str:
        found = name(self._random)
        self.planted.add("zq" + found.lower().partition("zq")[2][:3])
        return found

    def _number(self) -> int:
        number = self._random.randint(1_000_003, 9_999_989)
        self.planted.add(str(number))
        return number

    def _person(self) -> str:
        address = f"{marker(self._random)}@example.com"
        self.planted |= {address, address.partition("@")[0]}
        return address

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/zqpath")
        if any(part in path.replace("/sprint/", "/sprints/") for part in self._refused):
            status = self._random.choice([400, 403, 404, 422])
            said = {"message": f"{self._name()} of {self._person()} may not read {self._team}", "code": self._name()}
            return httpx.Response(status, json=said)
        if path.startswith("/v2/org-trees"):
            return httpx.Response(200, json=self._trees(path))
        if path.endswith("/teams/reports"):
            return httpx.Response(200, content=self._csv(json.loads(request.content)))
        return self._answer_about_exports(request, path)

    def _answer_about_exports(self, request: httpx.Request, path: str) -> httpx.Response:
        *_, export_id, last = path.split("/")
        if request.method == "POST":
            return self._created(json.loads(request.content))
        if last == "exports":
            return httpx.Response(200, json={"exports": [self._listed(each) for each in self._made]})
        if last == "download":
            return httpx.Response(200, content=self._packed(export_id))
        return httpx.Response(200, json=self._status(last))

    def _trees(self, path: str) -> Any:
        if path.endswith("org-trees"):
            return {
                "records": [{"id": self._ids[0], "name": self._tree, "rootTeamRefId": self._ids[1]}],
                "totalCount": 1,
            }
        leaf = {
            "refId": self._ids[3],
            "name": self._team,
            "children": [],
            "developerCount": 4,
            self._name(): self._name(),
        }
        group = {"refId": self._ids[2], "name": self._group, "children": [leaf]}
        return {"refId": self._ids[1], "name": self._tree, "children": [group]}

    def _created(self, body: dict[str, Any]) -> httpx.Response:
        export_id = f"exp_{self._number()}"
        self._made[export_id] = json.dumps(body)
        status = self._random.choice([None, "QUEUED", "queued", self._name()])
        reply = {"exportId": export_id, "createdAt": "2026-03-18T05:00:00Z", "message": self._name()}
        reply |= {"createdBy": {"email": self._person()}, self._name(): self._name()}
        return httpx.Response(self._random.choice([200, 202]), json=reply | ({"status": status} if status else {}))

    def _status(self, export_id: str) -> dict[str, Any]:
        link = f"/v2/insights/{export_id}/download"
        links = [
            {"download": {"url": link, "filename": self._name()}},
            {"downloadUrl": f"{self.host}{link}?signature={self._number()}"},
            {"downloadUrl": f"https://{marker(self._random)}.example.com{link}"},
            {"download": {"url": f"/{marker(self._random)}{link}"}},
            {},
            *[{"downloadUrl": link}] * 4,
        ]
        ended = {
            "completed": self._random.choice(links),
            "COMPLETED": self._random.choice(links),
            "failed": {"error": {"code": self._name(), "message": f"{self._name()} {self._person()}"}},
            self._name(): {"error": self._name()},
        }
        status = self._random.choice(["completed", "COMPLETED"] * 4 + [*ended])
        scope = {"teamId": str(self._ids[3]), "teamName": self._team}
        reply = {"exportId": export_id, "status": status, "createdAt": "2026-03-18T05:00:00Z", "scope": scope}
        return reply | ended[status] | {"createdBy": {"name": self._name(), "email": self._person()}}

    def _listed(self, export_id: str) -> dict[str, Any]:
        dates = {"start": "2026-01-01", "end": "2026-01-31"}
        reply = {"exportId": export_id, "status": "completed", "createdAt": "2026-03-10T05:00:00Z"}
        return reply | {"metadata": {"dateRange": dates, "name": self._name()}, "createdBy": {"email": self._person()}}

    def _packed(self, export_id: str) -> bytes:
        content = self._csv(json.loads(self._made[export_id]))
        return gzip.compress(content) if self._random.random() < 0.5 else content

    def _csv(self, body: dict[str, Any]) -> bytes:
        columns = self._columns(legacy="dateRange" not in body)
        rows = [[self._cell(kind) for _, kind in columns] for _ in range(self._random.choice((0, 2, 2, 3)))]
        header = [name for name, _ in columns]
        text = io.StringIO()
        csv.writer(text).writerows(rows if self._header_style == "none" and rows else [header, *rows])
        return text.getvalue().encode()

    def _columns(self, *, legacy: bool) -> list[tuple[str, str]]:
        styles = {
            "documented": [
                "Granularity",
                "Team",
                "Team_Hierarchy",
                "Start_Date",
                "End_Date",
                "Developer",
                "Developer_Email",
            ],
            "other": ["Period", "Squad", "Squad_Path", "From", "Until", "Employee", "Employee_Mail"],
        }
        kinds = ["label", "team", "path", "start", "end", "person", "address"]
        dimensions = styles.get(self._header_style) or [self._name() for _ in kinds]
        columns = list(zip(["Collection Name"] if legacy else dimensions, ["team"] if legacy else kinds, strict=True))
        columns = [each for each in columns if legacy or self._random.randint(0, 5)]
        for _ in range(self._random.randint(0, 5)):
            stem = self._name()
            endings = ["", "_story_points", "_tickets", "_hours", "_TICKETS", " Rating", "_days", " (mean)"]
            columns.append((stem + self._random.choice((endings)), self._random.choice(["number", "text"])))
        return columns

    def _cell(self, kind: str) -> str:
        path = [self._tree, self._group, self._team]
        labels = ["Week of 2026-03-02", f"Sprint {self._name()} 12", self._name()]
        made = {
            "team": self._team,
            "path": self._random.choice(["/", " > ", "|"]).join(path if self._from_root else path[2:]),
            "label": self._random.choice(labels),
            "start": "2026-03-02",
            "end": "2026-03-08",
            "address": self._person(),
            "number": self._random.choice(["", "—", f"{self._number()}.25", str(self._number())]),
        }
        return made.get(kind) or ("" if kind == "number" else self._name())
