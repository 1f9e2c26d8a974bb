"""Connections that nobody imagined, as JSON and as URIs: read as what was meant, or refused with our error."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from sei_provider.api import SeiInputError
from sei_provider.api.endpoints import get_export
from sei_provider.hooks.sei import SeiHook
from tests.examples import examples

ENDS: Counter[str] = Counter()
NAMES = ["org_identifier", "project_identifier", "account_identifier", "requests_per_minute", "machines"]
NAMES += ["week_starts_on", "timezone", "allow_http", "level_field"]
WRONG_NAMES = ["week_start_on", "orgIdentifier", "Timezone", "machine", "host", "verify", "extra__sei__timezone"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]
TEXTS = st.sampled_from(["acme", "web", " acme ", 5, 0, "", "  ", None, True, 1.5, ["acme"], {"id": 1}])
NUMBERS = (
    st.integers(-3, 500)
    | st.integers(1, 400).map(str)
    | st.sampled_from([400.0, 0.5, "x", "", None, True, " 7 ", "1e2"])
)
VALUES = {
    **dict.fromkeys(["org_identifier", "project_identifier", "account_identifier"], TEXTS),
    **dict.fromkeys(["requests_per_minute", "machines"], NUMBERS),
    "week_starts_on": st.sampled_from([*DAYS, "Sunday", " FRIDAY ", "Caturday", 0, True, "", None]),
    "timezone": st.sampled_from([*ZONES, " UTC ", "europe/berlin", "Europe", "../UTC", "Mars", 5, "", None, ["UTC"]]),
    "allow_http": st.sampled_from([True, False, "true", "False", " TRUE", "yes", 1, 0, "", None, []]),
    "level_field": st.sampled_from(["metricLevel", "AGGREGATIONLEVEL", "level", 5, "", None]),
}


class RefusalError(Exception):
    """The judge's word for what makes no sense."""


@st.composite
def addresses(draw: st.DrawFn) -> tuple[dict[str, Any], str | None]:
    """Draw a cluster's address scattered over the fields, and its base URL; None if two fields disagree."""
    scheme, host = (
        draw(st.sampled_from([None, "https", "http"])),
        draw(st.sampled_from(["app.harness.io", "10.0.0.5", "[::1]"])),
    )
    port, path = draw(st.sampled_from([None, 8443, 1])), draw(st.sampled_from(["", "prod1/sei/api", "gateway"]))
    url = f"{scheme or 'https'}://{host}{f':{port}' if port else ''}{f'/{path}' if path else ''}"
    fields: dict[str, Any] = {"host": host, "port": None, "schema": None}
    in_field = draw(st.sampled_from(["port", "path", "both", "none"]))
    if port:
        fields |= {"port": port} if in_field in {"port", "both"} else {"host": f"{host}:{port}"}
    slash = draw(st.sampled_from(["", "/"]))
    if path and in_field in {"path", "both"}:
        fields["schema"] = f"{path}{slash}"
    else:
        fields["host"] += f"/{path}{slash}" if path else slash
    if scheme and not fields["schema"] and draw(st.booleans()):
        fields["schema"] = scheme
    elif scheme:
        fields["host"] = f"{scheme}://{fields['host']}"
    wrong = draw(st.sampled_from(["", "", "", "port", "path"]))
    if wrong == "port" and port and not fields["port"]:
        return fields | {"port": 443}, None
    if wrong == "path" and path and not fields["schema"]:
        return fields | {"schema": "other"}, None
    return fields, url


ODD_EXTRAS = st.dictionaries(st.sampled_from(WRONG_NAMES), st.sampled_from(["UTC", 1, "acme"]), max_size=1)


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    print("\n" + ", ".join(f"{count} {end}" for end, count in ENDS.most_common()))  # noqa: T201 - for `make fuzz`


@pytest.mark.fuzz
@given(
    address=addresses(),
    more=st.lists(st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), VALUES[name])), max_size=3),
    odd=st.just({}) | st.just({}) | ODD_EXTRAS,
    way=st.sampled_from(["json", "json text", "uri", "uri extra"]),
    quoting=st.integers(0, 2**16 - 1),
)
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_connection_is_read_as_what_was_meant_or_refused(
    monkeypatch: pytest.MonkeyPatch,
    address: Any,
    more: list[tuple[str, Any]],
    odd: dict[str, Any],
    way: str,
    quoting: int,
) -> None:
    fields, url = address
    extras = {"org_identifier": "acme", "project_identifier": "web", **dict(more), **odd}
    if way == "uri":  # which has text only, and no way to leave a value out
        extras = {name: str(value) for name, value in extras.items() if value is not None}
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", _written(fields, extras, way, quoting))
    note(f"{way}: {fields} {extras}")
    try:
        meant: dict[str, Any] | None = _meaning(url, extras)
    except RefusalError:
        meant = None
    read, error = _read()
    if error:
        assert meant is None, f"refused: {error}"
        assert "sesame" not in error
        ENDS[f"refused ({way})"] += 1
        return
    assert meant is not None, f"read as {read}"
    assert read["call"].startswith(f"{meant['base_url']}/v2/insights/sprints/exports/exp_1?")
    assert {name: read[name] for name in meant} == meant
    ENDS[f"read ({way})"] += 1


def _read() -> tuple[dict[str, Any], str]:
    """Return what the hook makes of the connection, or our error."""
    hook = SeiHook()
    try:
        calendar = hook.get_calendar()
        read = hook._settings(*hook._resolved)
        call = hook.get_url(get_export("sprint", "exp_1"))
    except SeiInputError as error:
        return {}, str(error)
    return {**read, "week": calendar.week_starts_on, "zone": str(calendar.timezone), "call": call}, ""


def _quoted(text: str, quoting: int) -> str:
    """Percent-encode what a URI cannot have, and any other characters, which means the same (RFC 3986, 2.3)."""
    return "".join(
        f"%{byte:02X}" if quoting >> place % 16 & 1 or not chr(byte).isalnum() else chr(byte)
        for place, byte in enumerate(text.encode())
    )


def _written(fields: dict[str, Any], extras: dict[str, Any], way: str, quoting: int) -> str:
    if way.startswith("json"):
        extra = json.dumps(extras) if way == "json text" else extras
        given = {name: value for name, value in fields.items() if value is not None}
        return json.dumps({"conn_type": "sei", "password": "sesame/open", "extra": extra, **given})
    scheme, separator, host = fields["host"].rpartition("://")
    named = host if re.fullmatch(r"[a-z0-9.]+|\[::1\]", host) and quoting % 2 else _quoted(host, quoting)
    port = f":{fields['port']}" if fields["port"] else ""
    path = "/".join(_quoted(part, quoting) for part in (fields["schema"] or "").split("/"))
    pairs = {"__extra__": json.dumps(extras)} if way == "uri extra" else extras
    query = "&".join(f"{_quoted(name, quoting)}={_quoted(value, quoting)}" for name, value in pairs.items())
    return f"sei://{scheme}{separator}:{_quoted('sesame/open', quoting)}@{named}{port}/{path}?{query}"


def _meaning(url: str | None, extras: dict[str, Any]) -> dict[str, Any]:
    if url is None or set(extras) - set(NAMES):
        raise RefusalError
    extras = {name: value for name, value in extras.items() if value is not None and value != ""}
    texts = {
        name: _text(value)
        for name, value in extras.items()
        if name not in {"requests_per_minute", "machines", "allow_http"}
    }
    if not texts.get("org_identifier") or not texts.get("project_identifier"):
        raise RefusalError
    per_minute, machines = _number(extras.get("requests_per_minute", 400)), _number(extras.get("machines", 1))
    week, zone = texts.get("week_starts_on") or "monday", texts.get("timezone") or "UTC"
    level = {"metriclevel": "metricLevel", "aggregationlevel": "aggregationLevel"}
    truth = {"true": True, "false": False}.get(str(extras.get("allow_http", False)).strip().lower())
    if week.lower() not in DAYS or zone not in ZONES or per_minute // machines < 1 or truth is None:
        raise RefusalError
    if not isinstance(extras.get("allow_http", False), bool | str) or (
        "level_field" in texts and texts["level_field"].lower() not in level
    ):
        raise RefusalError
    return {
        "base_url": url,
        "api_key": "sesame/open",
        "org_identifier": texts["org_identifier"],
        "project_identifier": texts["project_identifier"],
        "account_identifier": texts.get("account_identifier") or None,
        "requests_per_minute": per_minute // machines,
        "allow_http": truth,
        "level_field": level[texts.get("level_field", "metricLevel").lower()],
        "week": DAYS.index(week.lower()),
        "zone": zone,
    }


def _text(value: Any) -> str:
    if type(value) not in {str, int}:
        raise RefusalError
    return str(value).strip()


def _number(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch("[0-9]+", value.strip()):
        value = int(value)
    if type(value) not in {int, float} or value != int(value) or value < 1:
        raise RefusalError
    return int(value)
