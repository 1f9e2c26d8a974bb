"""S3: conditional puts (If-Match, If-None-Match) keep writers apart, as the lock does on disk (DESIGN, decision 14).

Single puts only: not every S3-compatible store checks a condition on the end of a multi-part upload.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import stamina
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync
from s3fs.core import S3_RETRYABLE_ERRORS
from s3fs.errors import translate_boto_error
from s3fs.utils import FileExpired
from upath import UPath

from sei_provider.lake.errors import ConflictError, UnsupportedStoreError
from sei_provider.lake.storage.backend import MISSING, AtomicPutStore, Fetched, Result

_LARGEST = 5 << 30
_CONFLICT_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}


class S3(AtomicPutStore):
    """S3 bucket. Versions are ETags."""

    conditional = True
    errors = (OSError, BotoCoreError, ClientError, *S3_RETRYABLE_ERRORS)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`. s3fs pins the ETag and raises `FileExpired` if the object is replaced meanwhile."""
        for attempt in stamina.retry_context(on=FileExpired, attempts=10, timeout=None, wait_initial=0.05, wait_max=1):
            with attempt:
                return super().read(path, use)
        return None

    def fetch(self, path: UPath, into: Path) -> Fetched:
        """As `store.fetch`. Bytes and ETag come from one response, so they belong together."""
        for attempt in stamina.retry_context(on=S3_RETRYABLE_ERRORS, attempts=5, timeout=None):
            with attempt:
                try:
                    return Fetched(into, sync(path.fs.loop, _download, path.fs, path.path, into))
                except FileNotFoundError:
                    break
        return Fetched(None, MISSING)

    def put(self, target: UPath, source: Path, if_match: str | None) -> None:
        """As `store.put`."""
        if source.stat().st_size > _LARGEST:
            msg = f"{target} would exceed 5 GiB, the limit of one S3 put: publish fewer teams to one table (table=)"
            raise UnsupportedStoreError(msg)
        condition: dict[str, str] = {}
        if if_match is not None:
            condition = {"IfNoneMatch": "*"} if if_match == MISSING else {"IfMatch": if_match}
        try:
            sync(target.fs.loop, _upload, target.fs, target.path, source, condition)
        except ClientError as error:
            # S3 answers If-Match on an object that was removed meanwhile with NoSuchKey.
            if condition and error.response["Error"].get("Code") in _CONFLICT_CODES:
                msg = f"{target} was changed by another writer since it was read"
                raise ConflictError(msg) from error
            raise translate_boto_error(error) from error
        target.fs.invalidate_cache(target.path)


async def _download(fs: Any, path: str, into: Path) -> str:
    bucket, key, _ = fs.split_path(path)
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key)  # noqa: SLF001  call_s3 cannot stream
    with into.open("wb") as file:
        body = answer["Body"]
        async with body:  # older versions of aiobotocore return the wrapped stream here, not the body
            while chunk := await body.read(1 << 20):
                file.write(chunk)
    return str(answer["ETag"])


async def _upload(fs: Any, path: str, source: Path, condition: dict[str, str]) -> None:
    bucket, key, _ = fs.split_path(path)
    await fs.set_session()
    client = await fs.get_s3(bucket)
    known = client.meta.service_model.operation_model("PutObject").input_shape.members
    if not condition.keys() <= known.keys():
        # s3fs drops parameters that botocore does not know: the put would be unconditional.
        msg = "the installed botocore has no conditional put (If-Match): upgrade s3fs and aiobotocore"
        raise UnsupportedStoreError(msg)
    with source.open("rb") as body:
        # Straight to botocore, which rewinds the file for a retry; s3fs would send only the rest of it.
        options = fs._get_s3_method_kwargs(client.put_object, Bucket=bucket, Key=key, Body=body, **condition)  # noqa: SLF001  adds the user's encryption settings
        await client.put_object(**options)
