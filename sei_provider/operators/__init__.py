"""Airflow operators: export, report, publish, check."""
