"""The commands `airflow sei …`, which look at SEI from a terminal."""
