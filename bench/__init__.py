"""Measurements: requests per export, a triggerer under load, what a DAG file costs, the lake beside other engines."""
