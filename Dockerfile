# Everything `make repro` needs. Build: docker build -t seedbed .   Run: see docs/cluster.md
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /seedbed
COPY requirements.lock pyproject.toml Makefile README.md LICENSE ./
COPY src ./src
RUN make setup

COPY . .
# The image carries no git history, and DVC asks for one unless it is told not to.
RUN touch .venv/.seedbed-setup && .venv/bin/dvc config --local core.no_scm true

CMD ["bash", "jobs/pipeline.sh"]
