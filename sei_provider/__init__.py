"""Apache Airflow provider for Harness SEI (AI DLC Insights)."""

__version__ = "0.1.0"
