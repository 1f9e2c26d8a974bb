"""S3 and Azure Blob Storage through obstore: conditional puts keep writers apart, as the lock does on disk.

Single puts where a condition is set (DESIGN, decision 14): not every S3-compatible store checks a condition on the
end of a multi-part upload.
"""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError, UnauthenticatedError
from obstore.store import AzureStore, S3Store

from sei_provider.lake.errors import ConflictError, UnsupportedStoreError
from sei_provider.lake.storage.backend import MISSING, Fetched, ReplacedError, Result, until_not_replaced
from sei_provider.lake.storage.errors import Explanation
from sei_provider.lake.storage.object_path import ObjectPath
from sei_provider.lake.storage.pinned_object import PinnedObject

_LARGEST = 5 << 30
_WHOLE_BYTES = 1 << 20
"""Objects up to this size are read by one request."""
_BUFFER_BYTES = 256 << 10
_PARTS_BYTES = 64 << 20
"""Objects from this size on are uploaded in parts, unless a condition is set."""

# A store that does not answer is an error within a minute. obstore's own limits are 30 seconds for a whole download
# and three minutes of retries.
_CLIENT = {"connect_timeout": "5s", "read_timeout": "15s", "timeout": "1h"}
_RETRY = {"max_retries": 6, "retry_timeout": timedelta(seconds=25)}
_UPLOAD_TIMEOUT = "15min"
"""A store says nothing while it receives an object, so a large one needs a longer limit than a read."""

_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_AZURE_ENDPOINTS = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}


class ObjectStore:
    """One bucket or container. Versions are ETags.

    `address` is how users spell the bucket, `root` the key of the lake in it.
    """

    errors: tuple[type[Exception], ...] = (BaseError, FileNotFoundError, PermissionError)
    removed_at_once = 1000

    def __init__(self, store: S3Store | AzureStore, address: str | None = None) -> None:
        self.root = (store.prefix or "").strip("/")
        self.store = _with_limits(store, _CLIENT)
        config = cast("dict[str, Any]", store.config)  # without what obstore takes from the environment
        if isinstance(store, S3Store):
            self.bucket = str(config["bucket"])
            endpoint = config.get("aws_endpoint_url_s3") or config.get("endpoint") or _from_environment(_S3_ENDPOINTS)
            region = config.get("region") or _from_environment(("AWS_REGION", "AWS_DEFAULT_REGION")) or "us-east-1"
            self.host = _host(endpoint) or f"s3.{region}.amazonaws.com"
        else:
            self.bucket = str(config["container_name"])
            endpoint = config.get("endpoint") or _from_environment(_AZURE_ENDPOINTS)
            account = config.get("account_name") or _from_environment(("AZURE_STORAGE_ACCOUNT_NAME",)) or "*"
            self.host = _host(endpoint) or f"{account}.blob.core.windows.net"
        scheme = "s3" if isinstance(store, S3Store) else "abfs"
        self.address = address or f"{scheme}://{self.bucket}"

    @cached_property
    def conditional(self) -> bool:
        """True if the store honours conditions: it is asked once, by puts that must fail."""
        return not self.unconditional_because

    @cached_property
    def unconditional_because(self) -> str:
        """Words for its treatment of conditions; empty if it honours them."""
        path = f"{self.root}/_conditions".strip("/")
        body = b"Here the store is asked whether it honours If-None-Match and If-Match.\n"
        with suppress(AlreadyExistsError):
            if (answer := self._ask(path, body, "create")) or (answer := self._ask(path, body, "create")):
                return answer
            return "ignores the condition If-None-Match of a put"
        with suppress(PreconditionError, FileNotFoundError):
            return self._ask(path, body, {"e_tag": '"0x0"'}) or "ignores the condition If-Match of a put"
        return ""

    def _ask(self, path: str, body: bytes, mode: Any) -> str:
        """Return why a conditional put is impossible; empty if it was made."""
        # 501 is an answer, not an outage, so it is not tried again.
        for store in (_with_limits(self.store, {}, retry={"max_retries": 0}), self.store):
            try:
                obstore.put(store, path, body, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                raise
            except BaseError as error:
                if _status(error) == "501":
                    return "answers 501 (not implemented) to a put with a condition"
                if store is self.store:
                    raise
            else:
                return ""
        return ""

    def read(self, path: ObjectPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`. Each request for a part of the object names the ETag of the first."""
        for attempt in until_not_replaced():
            with attempt:
                return self._read(path, use)
        return None

    def _read(self, path: ObjectPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        try:
            found = obstore.get(self.store, path.key)
        except FileNotFoundError as error:
            if _code(error) in _NO_BUCKET:
                raise
            return None
        if found.meta["size"] <= _WHOLE_BYTES:
            return use(io.BytesIO(bytes(found.bytes())))
        pinned = PinnedObject(self.store, path.key, found.meta["size"], found.meta["e_tag"])
        del found  # ends the response, of which only the head was read
        try:
            return use(cast("BinaryIO", io.BufferedReader(pinned, _BUFFER_BYTES)))
        except Exception:
            if pinned.replaced:
                msg = f"{path} was replaced every time it was read: run the task again"
                raise ReplacedError(msg) from None
            raise

    def fetch(self, path: ObjectPath, into: Path) -> Fetched:
        """As `store.fetch`. Bytes and ETag come from one response, so they belong together."""
        try:
            found = obstore.get(self.store, path.key)
        except FileNotFoundError as error:
            if _code(error) in _NO_BUCKET:
                raise
            return Fetched(None, MISSING)
        with into.open("wb") as file:
            for chunk in found.stream(1 << 20):
                file.write(chunk)
        return Fetched(into, str(found.meta["e_tag"]))

    def put(self, target: ObjectPath, source: Path, if_match: str | None) -> None:
        """As `store.put`. A store that does not honour conditions gets none: `require_safe_writes` refused it."""
        size = source.stat().st_size
        mode: Any = "overwrite"
        if if_match is not None and self.conditional:
            mode = "create" if if_match == MISSING else {"e_tag": if_match}
            if size > _LARGEST:
                msg = f"{target} would exceed 5 GiB, the limit of one put: publish fewer teams to one table (table=)"
                raise UnsupportedStoreError(msg)
        store = _with_limits(self.store, {"read_timeout": _UPLOAD_TIMEOUT}) if size > _WHOLE_BYTES else self.store
        try:
            if mode == "overwrite" and size > _PARTS_BYTES:
                obstore.put(store, target.key, source, use_multipart=True)
            else:
                _put_at_once(store, target.key, source, size, mode)
        except (AlreadyExistsError, PreconditionError):
            msg = f"{target} was changed by another writer since it was read"
            raise ConflictError(msg) from None

    def names(self, folder: ObjectPath) -> list[str]:
        """As `store.names`."""
        found = obstore.list_with_delimiter(self.store, folder.key or None)
        paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return [path.removeprefix(f"{folder.key}/") for path in paths if path != folder.key]

    def changed(self, path: ObjectPath) -> datetime | None:
        """Return when the object was last put; None if it does not exist, and for a folder, which is only a prefix."""
        with suppress(FileNotFoundError):
            return obstore.head(self.store, path.key)["last_modified"]
        return None

    def remove(self, paths: Sequence[ObjectPath]) -> None:
        """Remove objects, which may be gone already, by one request where the store can."""
        try:
            obstore.delete(self.store, [path.key for path in paths])
        except FileNotFoundError:  # Azure says so of one, and leaves open what has become of the others
            for path in paths:
                with suppress(FileNotFoundError):
                    obstore.delete(self.store, path.key)

    def remove_if_empty(self, folder: ObjectPath) -> None:
        """Do nothing: an object store has no folders."""

    def locked(self, folder: ObjectPath) -> AbstractContextManager[None]:  # noqa: ARG002  nothing to lock
        """Lock nothing: the condition on the put, or the single writer, keeps writers apart."""
        return nullcontext()

    def explain(self, error: Exception) -> Explanation:
        """Say what the store answered; its own message can hold an access key's id or a signed URL."""
        status, code = _status(error), _code(error)
        if code in _NO_BUCKET or status == "404":
            return Explanation(
                f"there is no bucket {self.bucket!r} at {self.host}",
                "check the store: correct the lake's address, or make the bucket",
            )
        if status in {"401", "403"} or (status == "400" and code and ("Auth" in code or "Token" in code)):
            return Explanation(
                f"{self.host} refuses the credentials for bucket {self.bucket!r} ({status} {code or 'without a code'})",
                "check the key or role of the connection, and give it read and write access to the lake",
            )
        if status:
            return Explanation(
                f"{self.host} answered {status} {code or ''}".rstrip() + f" for bucket {self.bucket!r}",
                "run the task again; if the error persists, check the store",
            )
        if isinstance(error, UnauthenticatedError):
            return Explanation(
                f"the connection gives no credentials for bucket {self.bucket!r} at {self.host}",
                "check its keys and its role, and run the task again",
            )
        if "error sending request" in str(error) or "timed out" in str(error):
            return Explanation(
                f"{self.host} does not answer (bucket {self.bucket!r})",
                "check the connection's endpoint and the network, and run the task again",
            )
        return Explanation(
            f"{self.host} cannot be asked about bucket {self.bucket!r} ({type(error).__name__})",
            "check the connection's credentials and endpoint, and run the task again",
        )


def _put_at_once(store: S3Store | AzureStore, key: str, source: Path, size: int, mode: Any) -> None:
    """Upload a file by one request, without a copy of it in memory."""
    if not size:  # an empty file cannot be mapped
        obstore.put(store, key, b"", mode=mode, use_multipart=False)
        return
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        obstore.put(store, key, data, mode=mode, use_multipart=False)


def _with_limits(
    store: S3Store | AzureStore, client: dict[str, Any], retry: dict[str, Any] | None = None
) -> S3Store | AzureStore:
    """Return the store without prefix; limits that its maker did not set are ours."""
    make: Any = type(store)
    allowed = _from_environment(("AWS_ALLOW_HTTP" if isinstance(store, S3Store) else "AZURE_ALLOW_HTTP",))
    insecure = {"allow_http": allowed} if allowed else {}  # obstore forgets it where it is given options
    return cast(
        "S3Store | AzureStore",
        make(
            config=store.config,
            client_options={
                **_CLIENT,
                **insecure,
                **(store.client_options or {}),
                **({} if client is _CLIENT else client),
            },
            retry_config=retry or store.retry_config or _RETRY,
            credential_provider=store.credential_provider,
        ),
    )


def _from_environment(names: Iterable[str]) -> str | None:
    return next((os.environ[name] for name in names if name in os.environ), None)


def _host(endpoint: object) -> str | None:
    """Return host and port of an endpoint."""
    if not endpoint:
        return None
    return urlsplit(str(endpoint)).netloc.rpartition("@")[2] or None


def _status(error: Exception) -> str | None:
    found = _STATUS.search(str(error))
    return found[1] if found else None


def _code(error: Exception) -> str | None:
    found = _CODE.search(str(error))
    return found[1] if found else None
