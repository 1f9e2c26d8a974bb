"""The Redis of the rate limit: a connection of its own; a password in the extras, which many may read, is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import parse_url

from sei_provider.api import SeiInputError
from sei_provider.hooks.redis_address import check_rate_limit_url, redis_url
from sei_provider.hooks.sei import SeiHook
from sei_provider.testing import connect
from tests.examples import examples
from tests.redis_server import redis_server

WORD = "hunter2-and-3"
TWICE = quote(quote("@", safe=""), safe="")
WITH_PASSWORD = [
    f"redis://:{WORD}@h:6379/0",
    f"redis://user:{WORD}@h:6379/0",
    f"redis://{WORD}@h:6379/0",
    f"REDISS://:{WORD}@h/0",
    f" rediss://:{WORD}@h/0 ",
    f"unix://:{WORD}@/run/redis.sock",
    f"unix:///run/redis.sock?password={WORD}",
    f"redis://h/0?password={WORD}",
    f"redis://h/0?db=1&password={WORD}",
    f"redis://h/0?PASSWORD={WORD}",
    f"redis://h/0?pass%77ord={WORD}",
    f"redis://h/0?pass%2577ord={WORD}",
    f"redis://h?ssl_password={WORD}",
    f"redis://h/0?username={WORD}",
    f"redis://h/0?auth={WORD}",
    f"redis://h/0?{WORD}",
    f"redis://:{WORD}%40h:6379/0",
    f"redis://:{WORD}{TWICE}h/0",
    f"redis://:{WORD}/x@h:6379/0",
    f"redis://:{WORD}#x@h:6379/0",
    f"redis://h/0#{WORD}",
    f"redis://h/{WORD}",
    f"redis://h/0;{WORD}",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_rate_limit_url_with_a_password_anywhere_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    connect(monkeypatch, "https://sei.test", rate_limit_url=url)
    with pytest.raises(SeiInputError, match=r"rate_limit_url with a user, a password.*rate_limit_conn_id") as refused:
        SeiHook().get_conn()
    assert WORD not in str(refused.value)
    assert SeiHook().test_connection() == (False, str(refused.value))


async def test_the_trigger_refuses_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://sei.test", rate_limit_url=WITH_PASSWORD[0])
    with pytest.raises(SeiInputError, match="rate_limit_conn_id"):
        async with SeiHook().aget_conn():
            pass


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379/0", "redis://h", "redis://h/", "rediss://h:6380/2?ssl_cert_reqs=none", "redis://[::1]:6379/0",
        "redis://h?db=3", "unix:///run/redis.sock?db=1", " redis://h:6379/0 ",
    ],
)  # fmt: skip
def test_a_rate_limit_url_without_a_password_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    connect(monkeypatch, "https://sei.test", rate_limit_url=url)
    with SeiHook().get_conn() as client:
        assert type(client._limit).__name__ == "RedisLimit"


def opened(monkeypatch: pytest.MonkeyPatch, counter: dict[str, Any] | str | None, **extra: Any) -> Any:
    connect(monkeypatch, "https://sei.test", rate_limit_conn_id="counter", **extra)
    if counter is not None:
        text = counter if isinstance(counter, str) else json.dumps(counter)
        monkeypatch.setenv("AIRFLOW_CONN_COUNTER", text)
    return SeiHook().get_conn()


@pytest.mark.parametrize("open_it", [SeiHook.get_conn, SeiHook.aget_conn])
async def test_rate_limit_conn_id_gives_the_redis_in_which_all_machines_count(
    monkeypatch: pytest.MonkeyPatch, open_it: Any
) -> None:
    with redis_server() as url:
        monkeypatch.setenv("AIRFLOW_CONN_COUNTER", url)
        connect(monkeypatch, "https://sei.test", requests_per_minute=4, machines=2, rate_limit_conn_id="counter")
        client = open_it(SeiHook())
        async with contextlib.AsyncExitStack() as stack:
            if open_it is SeiHook.aget_conn:
                client = await stack.enter_async_context(client)
            else:
                stack.enter_context(client)
            taken = [client._limit.try_acquire() == 0.0 for _ in range(5)]
    assert taken == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("counter", "words"),
    [
        (None, "has rate_limit_conn_id='counter', and there is no connection of that id"),
        ({"conn_type": "sei", "host": "h"}, "which rate_limit_conn_id names, is of the type 'sei', not redis"),
        ({"conn_type": "redis"}, "needs the name or the address of a machine as its host"),
        ({"conn_type": "redis", "host": "a@b"}, "needs the name or the address of a machine as its host"),
        ({"conn_type": "redis", "host": "h", "extra": {"db": "x"}}, "has the database 'x'"),
        ({"conn_type": "redis", "host": "h", "extra": {"db": -1}}, "has the database '-1'"),
        ({"conn_type": "redis", "host": "h", "extra": {"ssl": "maybe"}}, "has ssl='maybe'"),
        ({"conn_type": "redis", "host": "h", "extra": {"ssl": {}}}, "has an extra that is not a JSON object of"),
    ],
)
def test_a_connection_that_is_no_redis_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, counter: dict[str, Any] | None, words: str
) -> None:
    with pytest.raises(SeiInputError) as refused:
        opened(monkeypatch, counter if counter is None else counter | {"password": WORD})
    assert words in str(refused.value)
    assert WORD not in str(refused.value)


def test_two_names_for_the_redis_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SeiInputError, match="names the Redis of its rate limit twice"):
        opened(monkeypatch, "redis://h", rate_limit_url="redis://h")


class Written:
    """A connection's fields, as Airflow gives them."""

    conn_id = "counter"

    def __init__(self, **fields: Any) -> None:
        defaults = {"conn_type": "redis", "login": None, "password": None, "port": None, "schema": None, "extra": None}
        vars(self).update(defaults | fields)


@settings(max_examples=examples(100))
@given(
    login=st.text(max_size=20),
    password=st.text(min_size=1, max_size=40),
    port=st.none() | st.integers(1, 65535),
    db=st.none() | st.integers(0, 15),
    tls=st.sampled_from([None, True, False, "true"]),
)
def test_redis_reads_from_the_url_what_the_connection_says(
    login: str, password: str, port: int | None, db: int | None, tls: Any
) -> None:
    extra = {name: value for name, value in (("db", db), ("ssl", tls)) if value is not None}
    url = redis_url(Written(host="h", login=login, password=password, port=port, extra=json.dumps(extra)))  # type: ignore[arg-type]
    read = parse_url(url)
    wanted = {"username": login or None, "password": password, "host": "h", "port": port or 6379, "db": db or 0}
    assert {name: read.get(name) for name in wanted} == wanted
    assert url.startswith("rediss://") is (tls in {True, "true"})
    with pytest.raises(SeiInputError) as refused:
        check_rate_limit_url("the connection 'x'", url)
    assert len(password) < 3 or password in WITHOUT or password not in str(refused.value)


WITHOUT = "the connection 'x' has a rate_limit_url with a user, a password, or an option other than"
