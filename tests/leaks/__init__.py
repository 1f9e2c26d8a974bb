"""Places where a real Airflow could show the key, a signature or an address, and a server that tries to make it."""
