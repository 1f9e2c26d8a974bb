"""Plugin for Airflow's web UI: the coverage page."""
