"""The store of a lake is opened with what its connection says, and renews its credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken
from azure.identity import ClientSecretCredential

from sei_provider.hooks import lake as lakes
from sei_provider.hooks.lake import open_lake
from sei_provider.lake import LakeAddressError, StoreError
from sei_provider.lake.storage.object_path import ObjectPath
from sei_provider.lake.storage.store import names, put_bytes, read, require_safe_writes
from tests import azurite
from tests.lake.s3_servers import Forwarding, Server, serving

ROLE = "arn:aws:iam::123456789012:role/lake"
SECRET = "bm90LXRoZS1yaWdodC1rZXk="


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


class Recording(Forwarding):
    """Hands requests on, and keeps who signed them."""

    left_out = frozenset()
    signers: list[tuple[str | None, bool]]

    def reply(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        signed = re.search(r"Credential=(\w+)/", self.headers.get("Authorization", ""))
        self.signers.append((signed[1] if signed else None, "x-amz-security-token" in self.headers))
        if not signed:  # the server behind has no public buckets
            self.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request"
        return super().reply(body)


@pytest.fixture
def recorded(s3_endpoint: str) -> Iterator[tuple[str, list[tuple[str | None, bool]]]]:
    signers: list[tuple[str | None, bool]] = []
    with serving(Recording, endpoint=s3_endpoint, signers=signers) as endpoint:
        yield endpoint, signers


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", **connection}))


def use(address: str) -> ObjectPath:
    """Open a lake, and put, read and list an object."""
    root = open_lake(address)
    assert isinstance(root, ObjectPath)
    require_safe_writes(root, single_writer=False)
    put_bytes(root / "object", b"1", if_match="")
    assert read(root / "object", lambda data: data.read()) == b"1"
    assert "object" in names(root)
    return root


def test_a_static_key_and_an_endpoint(monkeypatch: pytest.MonkeyPatch, recorded: Any) -> None:
    endpoint, signers = recorded
    connect(monkeypatch, login="AKIASTATIC", password=SECRET, extra={"endpoint_url": endpoint})
    prefix = uuid4().hex
    root = use(f"s3://lake@sei/{prefix}/")
    assert set(signers) == {("AKIASTATIC", False)}
    assert str(root / "object") == f"s3://lake@sei/{prefix}/object", "manifests name the lake as the user does"
    assert SECRET not in repr(root)


def test_an_assumed_role_whose_credentials_are_renewed_while_the_lake_is_open(
    monkeypatch: pytest.MonkeyPatch, sts_endpoint: str, recorded: Any
) -> None:
    endpoint, signers = recorded
    extra = {
        "role_arn": ROLE,
        "region_name": "us-east-1",
        "assume_role_kwargs": {"DurationSeconds": 900},  # botocore renews them at once
        "service_config": {"s3": {"endpoint_url": endpoint}, "sts": {"endpoint_url": sts_endpoint}},
    }
    monkeypatch.setattr(lakes, "_CREDENTIALS_LIVE", timedelta(0))
    connect(monkeypatch, login="AKIASTATIC", password=SECRET, extra=extra)
    use(f"s3://lake@sei/{uuid4().hex}")
    assert all(str(key).startswith("ASIA") and has_token for key, has_token in signers)
    assert len(set(signers)) > 1


def test_no_key_at_all(monkeypatch: pytest.MonkeyPatch, recorded: Any) -> None:
    endpoint, signers = recorded
    connect(monkeypatch, extra={"endpoint_url": endpoint})
    use(f"s3://lake@sei/{uuid4().hex}")
    assert set(signers) == {(None, False)}


def test_a_key_of_the_environment_without_a_connection(monkeypatch: pytest.MonkeyPatch, recorded: Any) -> None:
    endpoint, signers = recorded
    for name, value in {"ACCESS_KEY_ID": "AKIAENV", "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    use(f"s3://sei/{uuid4().hex}")
    assert set(signers) == {("AKIAENV", False)}


def test_a_role_that_is_refused_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server, status=403, code="AccessDenied") as endpoint:
        extra = {
            "role_arn": ROLE,
            "region_name": "us-east-1",
            "service_config": {"sts": {"endpoint_url": endpoint}},
        }
        connect(monkeypatch, login="AKIASTATIC", password=SECRET, extra=extra)
        with pytest.raises(StoreError, match=r"cannot open s3://lake@sei/lake: .*AssumeRole.*check its role") as error:
            open_lake("s3://lake@sei/lake")
    assert SECRET not in str(error.value)


def test_what_a_connection_says_of_transport_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    extra = {
        "endpoint_url": "https://s3.example.com",
        "region_name": "eu-west-1",
        "verify": False,
        "config_kwargs": {"s3": {"addressing_style": "virtual"}, "proxies": {"https": "http://proxy.example.com:3128"}},
    }
    connect(monkeypatch, login="AKIASTATIC", password=SECRET, extra=extra)
    root = open_lake("s3://lake@sei/lake")
    assert isinstance(root, ObjectPath)
    config, client = root.store.store.config, root.store.store.client_options
    assert config["region"] == "eu-west-1"
    assert config["endpoint"] == "https://sei.s3.example.com"
    assert client is not None
    assert str(client["allow_invalid_certificates"]).lower() == "true"
    assert client["proxy_url"] == "http://proxy.example.com:3128"


def test_the_region_of_a_bucket_is_asked_where_the_connection_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere(Server):
        def reply(self, body: bytes) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002  it does not matter
            return 403, {"x-amz-bucket-region": "ap-south-1"}, b""

    with serving(Elsewhere) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        connect(monkeypatch, login="AKIASTATIC", password=SECRET)
        root = open_lake("s3://lake@sei/lake")
    assert isinstance(root, ObjectPath)
    assert root.store.store.config["region"] == "ap-south-1"


def test_requests_that_another_service_signs_stay_with_airflows_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = {"signer": "S3V4RestSigner", "signer_uri": "https://signer.example.com", "signer_token": SECRET}
    connect(monkeypatch, extra={"service_config": {"s3": s3}})
    assert not isinstance(open_lake("s3://lake@sei/lake"), ObjectPath)


@pytest.mark.parametrize("address", ["gs://lake@sei/lake/", "file:///data/lake", "/data/lake"])
def test_other_stores_stay_with_airflows_own_path(address: str) -> None:
    root = open_lake(address)
    assert not isinstance(root, ObjectPath)
    assert str(root / "x").endswith("/lake/x")


def test_a_doubtful_address_is_refused_before_its_connection_is_read() -> None:
    with pytest.raises(LakeAddressError, match="write s3://nobody@sei/lake"):
        open_lake("s3://nobody@sei//lake")


def azure_string(endpoint: str, **parts: str) -> str:
    named = {"DefaultEndpointsProtocol": "http", "AccountName": azurite.ACCOUNT, "BlobEndpoint": endpoint, **parts}
    return ";".join(f"{name}={value}" for name, value in named.items())


def test_azure_by_a_connection_string(monkeypatch: pytest.MonkeyPatch, azure_endpoint: str) -> None:
    extra = {"connection_string": azure_string(azure_endpoint, AccountKey=azurite.KEY)}
    connect(monkeypatch, conn_type="wasb", extra=extra)
    prefix = uuid4().hex
    root = use(f"abfss://lake@sei/{prefix}")
    assert str(root) == f"abfs://lake@sei/{prefix}"
    assert azurite.KEY not in repr(root)


def test_azure_by_a_signature(monkeypatch: pytest.MonkeyPatch, azure_endpoint: str) -> None:
    from datetime import UTC, datetime

    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    signature = generate_container_sas(
        azurite.ACCOUNT,
        "sei",
        account_key=azurite.KEY,
        permission=ContainerSasPermissions(read=True, write=True, list=True, delete=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    connect(monkeypatch, conn_type="wasb", extra={"sas_token": f"https{azure_endpoint[4:]}?{signature}"})
    root = open_lake("abfs://lake@sei/lake")
    assert isinstance(root, ObjectPath)
    assert root.store.host in azure_endpoint
    connect(
        monkeypatch,
        conn_type="wasb",
        extra={"connection_string": azure_string(azure_endpoint, SharedAccessSignature=signature)},
    )
    use(f"abfs://lake@sei/{uuid4().hex}")


def test_azure_by_a_service_principal_whose_token_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def token(*_args: Any, **_kwargs: Any) -> AccessToken:
        given.append(f"token-{len(given)}")
        return AccessToken(given[-1], 0)

    monkeypatch.setattr(ClientSecretCredential, "get_token", token)
    host = "https://account.blob.core.windows.net"
    connect(monkeypatch, conn_type="wasb", login="app", password=SECRET, host=host, extra={"tenant_id": "tenant"})
    root = open_lake("abfs://lake@sei/lake")
    assert isinstance(root, ObjectPath)
    assert root.store.host == "account.blob.core.windows.net"
    provider: Any = root.store.store.credential_provider
    assert [provider()["token"], provider()["token"]] == ["token-0", "token-1"]
