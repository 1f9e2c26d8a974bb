"""Airflow's way to SEI."""
