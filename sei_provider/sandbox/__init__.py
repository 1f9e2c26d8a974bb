"""The SEI export API served on localhost, for the demo, the tests, and users' own DAG tests.

It is as strict as SEI's documents. It imports neither Airflow nor the lake, and of `sei_provider.api` only the report
tables, so that a mistake of the client is not repeated here.
"""
