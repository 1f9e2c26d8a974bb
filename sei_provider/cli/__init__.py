"""`airflow sei …`: looking at SEI from a terminal."""
