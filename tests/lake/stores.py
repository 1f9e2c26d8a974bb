"""S3 (moto) and Azure (Azurite) opened for the lake's tests, in this process and in others."""

from __future__ import annotations

from typing import Any

from obstore.store import AzureStore, S3Store

from sei_provider.lake.storage.object_path import ObjectPath
from sei_provider.lake.storage.store import lake_path
from tests import azurite


def open_store(kind: str, endpoint: str, prefix: str, *, bucket: str = "sei", **options: Any) -> ObjectPath:
    """Open a folder of a bucket; `options` are further arguments of the store."""
    options.setdefault("client_options", {"allow_http": True})
    if kind == "s3":
        keys = {"access_key_id": "sandbox", "secret_access_key": "sandbox", "region": "us-east-1"}
        store: Any = S3Store(bucket, prefix=prefix, endpoint=endpoint, **{**keys, **options})
    else:
        keys = {"account_name": azurite.ACCOUNT, **({} if "sas_key" in options else {"account_key": azurite.KEY})}
        store = AzureStore(bucket, prefix=prefix, endpoint=endpoint, **{**keys, **options})
    found = lake_path(store)
    assert isinstance(found, ObjectPath)
    return found
