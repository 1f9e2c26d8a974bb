"""The SEI export API served on localhost, for the demo, the tests, and users' own DAG tests.

It is as strict as SEI's documents, so that what passes here has a chance there. It knows neither Airflow nor the lake,
and of `sei_provider.api` only the report tables: a mistake in how the provider speaks must not be repeated here.
"""
