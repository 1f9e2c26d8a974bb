"""Where the key, a signature or an address could come to light in a real Airflow, and a server that tries."""
