# Airflow with this provider, for docker-compose.yaml. The base image brings Celery, and the drivers of PostgreSQL and Redis.
FROM apache/airflow:3.3.2-python3.11 AS build
COPY --chown=airflow:0 . /tmp/provider
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels /tmp/provider

FROM apache/airflow:3.3.2-python3.11
COPY constraints.txt /opt/airflow/constraints.txt
COPY --from=build /tmp/wheels /opt/airflow/wheels
RUN for wheel in /opt/airflow/wheels/*.whl; do \
        pip install --no-cache-dir --constraint /opt/airflow/constraints.txt "${wheel}[pandas,redis,s3,sandbox]"; \
    done

# A new volume takes its owner from the folder it is mounted on; without one it would be root's, and not writable.
RUN mkdir -p /opt/airflow/logs
