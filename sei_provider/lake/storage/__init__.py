"""Where the lake's objects lie: local disk, S3, any store of fsspec. Knows nothing of rows."""
