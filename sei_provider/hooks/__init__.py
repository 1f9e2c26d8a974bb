"""The Airflow hook for SEI."""
