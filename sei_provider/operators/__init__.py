"""Airflow tasks: export, publish, check."""
