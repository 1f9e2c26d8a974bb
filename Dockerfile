# Airflow with this provider, for docker-compose.yaml. The base image brings Celery, and the drivers of PostgreSQL and Redis.
FROM apache/airflow:3.3.2-python3.11 AS build
COPY --chown=airflow:0 . /tmp/provider
# What is downloaded has one of the hashes that are written down; building the wheel downloads nothing more.
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement /tmp/provider/constraints/build.txt && \
    pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheels /tmp/provider

FROM apache/airflow:3.3.2-python3.11
COPY constraints/image.txt /opt/airflow/constraints.txt
COPY --from=build /tmp/wheels /opt/airflow/wheels
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement /opt/airflow/constraints.txt && \
    pip install --no-cache-dir --no-deps /opt/airflow/wheels/*.whl

# A new volume takes its owner from the folder it is mounted on; without one it would be root's, and not writable.
RUN mkdir -p /opt/airflow/logs
