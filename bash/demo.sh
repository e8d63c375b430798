#!/usr/bin/env bash
# From nothing to results on a rendered dataset: what `make demo` runs. Run again, it continues where it stopped.
#
#   bash bash/demo.sh [PROJECT]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" exec python -m wtaseg demo "$@"
