#!/usr/bin/env bash
# Write requirements.lock anew from pyproject.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install --quiet uv
.venv/bin/python -m uv pip compile pyproject.toml --universal --generate-hashes --extra dev \
    --python-version 3.10 --no-emit-index-url --no-annotate --no-header -o requirements.lock
