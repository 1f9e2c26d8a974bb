"""Development machinery: a real Airflow and the sandbox on one machine. Not part of the distribution."""
