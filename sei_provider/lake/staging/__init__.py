"""Bytes to checked, typed rows: what SEI sent, staged as immutable Parquet files. Knows nothing of tables."""
