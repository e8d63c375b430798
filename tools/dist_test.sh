#!/usr/bin/env bash
# Test with several processes of one or more machines:
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# Without GPUs the processes compute on the CPU. PYTHON, NNODES, NODE_RANK, PORT and MASTER_ADDR as in torchrun;
# one machine takes a free port by itself.
set -eu

if (($# < 3)); then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of tools/test.py]" >&2
    exit 1
fi
CONFIG=$1 CHECKPOINT=$2 GPUS=$3
shift 3
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
if ((${NNODES:-1} == 1)) && [[ -z "${PORT:-}" ]]; then
    RENDEZVOUS=(--standalone)
else
    RENDEZVOUS=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi

PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m wtaseg.torchrun \
    "${RENDEZVOUS[@]}" --nproc_per_node="$GPUS" \
    "$ROOT/tools/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
