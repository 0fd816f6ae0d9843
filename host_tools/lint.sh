#!/usr/bin/env bash
# ruff, mypy --strict, vermin (names that Python 3.10 lacks), clang-format, cppcheck, workflows by
# actionlint and zizmor; --fix: format Python and C.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t c_files < <(git ls-files --cached --others --exclude-standard '*.c' '*.h')
if [ "${1:-}" = --fix ]; then
    .venv/bin/ruff check --fix-only --quiet .
    .venv/bin/ruff format --quiet .
    clang-format -i "${c_files[@]}"
    exit
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
git ls-files -z --cached --others --exclude-standard '*.py' |
    xargs -0 .venv/bin/vermin --target=3.10- --violations --eval-annotations --no-tips --quiet
clang-format --dry-run --Werror "${c_files[@]}"
included=(kernels link app board check features stream library)
cppcheck --quiet --error-exitcode=1 --max-configs=64 --enable=warning,performance,portability --std=c11 \
    --inline-suppr --suppress=missingIncludeSystem "${included[@]/#/-Ifirmware/}" \
    firmware model/features
.venv/bin/actionlint
.venv/bin/zizmor --offline --no-progress --quiet .github/workflows
