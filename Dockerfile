# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.11.14

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/venv/bin/pip install --no-deps .

FROM python:${PYTHON_VERSION}-slim-bookworm AS runtime
# Who runs it, and whose files it writes into the mounted project: pass your own `id -u`.
ARG UID=10001
# git: DVC's project is a git checkout. tini: Ctrl-C and docker stop reach the flow, which then ends its stages.
# /mlflow and /prefect: volumes take their owner from here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid "${UID}" helix \
    && install --directory --owner=helix /mlflow /prefect /project \
    && git config --system --add safe.directory /project
COPY --from=build /opt/venv /opt/venv
# PYTHONPATH: the mounted code is what runs, as it is what DVC compares.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/project/src:/project \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
# The project is mounted here: its code, its data, its results are the user's, not the image's.
WORKDIR /project
USER ${UID}
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "flows"]
