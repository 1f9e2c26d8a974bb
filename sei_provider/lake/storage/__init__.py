"""Storage of the lake's objects: local disk, S3, and other object stores through fsspec. Knows nothing of rows."""
