# Airflow with this provider, for docker-compose.yaml. The base image brings the PostgreSQL driver.
FROM apache/airflow:3.3.2-python3.11

COPY --chown=airflow:0 . /opt/airflow/provider
RUN pip install --no-cache-dir --constraint /opt/airflow/provider/constraints.txt \
    '/opt/airflow/provider[pandas,sandbox]'

# A new volume takes its owner from the folder it is mounted on; without one it would be root's, and not writable.
RUN mkdir -p /opt/airflow/lake
