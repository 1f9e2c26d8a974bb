"""Staging of exports: bytes become validated, typed rows in immutable Parquet files. Knows nothing of tables."""
