"""Lakes by their addresses, as a DAG names them: an obstore store with the credentials of an Airflow connection.

obstore is given the connection's own session, which renews what expires: it asks for credentials again and again.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from sei_provider.lake.errors import StoreError
from sei_provider.lake.storage.address import normalize_address, split_address
from sei_provider.lake.storage.errors import opening_errors
from sei_provider.lake.storage.store import lake_path

if TYPE_CHECKING:
    from obstore.store import AzureStore, S3Store

    from sei_provider.lake.storage.backend import LakePath

_CREDENTIALS_LIVE = timedelta(minutes=8)
"""botocore renews temporary credentials at the latest 10 minutes before they expire."""
_STS_LIMITS = {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 2}}


def open_lake(address: str) -> LakePath:
    """Open a lake: `s3://connection@bucket/lake`, `abfs://connection@container/lake`, or what ObjectStoragePath takes.

    S3 and Azure become an obstore store. Google Cloud Storage, and an S3 connection whose requests are signed by
    another service (`signer`), which obstore cannot ask, stay Airflow's path objects. Without a connection
    the credentials come from the environment or the machine. Raises `LakeAddressError`, or `StoreError` if the
    connection gives no credentials.
    """
    address = normalize_address(str(address))
    scheme, place, key = split_address(address)
    conn_id, _, bucket = place.rpartition("@")
    store: S3Store | AzureStore | None = None
    if scheme in {"", "file"}:
        return lake_path(address)
    if scheme in {"s3", "abfs"}:
        from obstore.exceptions import BaseError

        with opening_errors(f"{scheme}://{place}", (BaseError, ValueError)):
            if scheme == "s3":
                store = _s3_store(conn_id or None, bucket, key, address)
            else:
                store = _azure_store(conn_id or None, bucket, key)
    if store is None:
        from airflow.sdk import ObjectStoragePath

        return cast("LakePath", ObjectStoragePath(address))  # on Airflow 3.3 a path by its behaviour, not by its type
    return lake_path(store, address=f"{scheme}://{place}")


def _s3_store(conn_id: str | None, bucket: str, key: str, address: str) -> S3Store | None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    hook = S3Hook(aws_conn_id=conn_id)
    if hook.service_config.get("signer"):
        return None
    settings: Any = hook.config
    if hook.conn_config.role_arn:
        hook = S3Hook(aws_conn_id=conn_id, config=Config(**_STS_LIMITS).merge(settings))
    try:
        session = hook.get_session()
        has_key = settings.signature_version is not UNSIGNED and session.get_credentials() is not None
    except (BotoCoreError, ClientError) as error:
        msg = f"cannot open {address}: the connection gives no credentials: {error}; check its role and its keys"
        raise StoreError(msg) from error
    endpoint = hook.conn_config.get_service_endpoint_url("s3")
    options: dict[str, Any] = {"skip_signature": True}
    if has_key:
        options = {"credential_provider": Boto3CredentialProvider(session, ttl=_CREDENTIALS_LIVE)}
    region = session.region_name
    if endpoint:
        options["endpoint"] = endpoint
    elif not region:
        region = _bucket_region(session, bucket, has_key=has_key)
    if region:
        options["region"] = region
    if ((settings.s3 or {}).get("addressing_style")) == "virtual":
        options["virtual_hosted_style_request"] = True
        if endpoint:  # obstore takes the address of the bucket then
            parts = urlsplit(endpoint)
            options["endpoint"] = parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()
    proxies = settings.proxies or {}
    proxy = hook.service_config.get("proxy-uri") or proxies.get("https") or proxies.get("http")
    client = _client_options(endpoint, hook.verify, proxy)
    return S3Store(bucket, prefix=key or None, client_options=client, **options)


def _bucket_region(session: Any, bucket: str, *, has_key: bool) -> str | None:
    """Return the region that a bucket of AWS lies in, which S3 tells even those whom it refuses."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    limits = Config(**_STS_LIMITS, **({} if has_key else {"signature_version": UNSIGNED}))
    try:
        answer = session.client("s3", config=limits, region_name="us-east-1").head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    except BotoCoreError:
        return None  # the store itself says what is wrong, with the lake's address
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return cast("str | None", headers.get("x-amz-bucket-region"))


def _client_options(endpoint: str | None, verify: bool | str | None, proxy: str | None) -> Any:
    """Return obstore's options for what a connection says about transport."""
    options: dict[str, Any] = {}
    if urlsplit(endpoint or "").scheme == "http":
        options["allow_http"] = True
    if verify is False:
        options["allow_invalid_certificates"] = True
    elif isinstance(verify, str):
        options["root_certificate"] = Path(verify).read_bytes()
    if proxy:
        options["proxy_url"] = proxy
    return options


def _azure_store(conn_id: str | None, container: str, key: str) -> AzureStore:
    from obstore.store import AzureStore

    if conn_id is None:
        return AzureStore(container, prefix=key or None)
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
    from obstore.auth.azure import AzureCredentialProvider

    client: Any = WasbHook(wasb_conn_id=conn_id).get_conn()
    url, credential = urlsplit(client.url), client.credential
    options: dict[str, Any] = {}
    if hasattr(credential, "account_key"):
        options["account_key"] = credential.account_key
    elif hasattr(credential, "signature"):
        options["sas_key"] = credential.signature.lstrip("?")
    elif hasattr(credential, "get_token"):
        options["credential_provider"] = AzureCredentialProvider(credential)
    elif url.query:
        options["sas_key"] = url.query
    else:
        options["skip_signature"] = True
    endpoint = url._replace(query="").geturl().rstrip("/")
    return AzureStore(
        container,
        prefix=key or None,
        account_name=client.account_name,
        endpoint=endpoint,
        client_options=_client_options(endpoint, None, None),
        **options,
    )
