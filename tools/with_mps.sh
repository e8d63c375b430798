#!/usr/bin/env bash
# Run a command whose processes share one GPU under NVIDIA's multi-process service (MPS): their kernels run side by
# side instead of one after the other.
#
#   bash tools/with_mps.sh python tools/study.py losses --data data/wta_512 --project losses --jobs 8
#
# The service is started for this command and stopped after it.
set -euo pipefail

if [[ $# -eq 0 ]]; then
    echo 'usage: bash tools/with_mps.sh COMMAND [ARGUMENT ...]' >&2
    exit 2
fi
if ! command -v nvidia-cuda-mps-control >/dev/null; then
    echo "with_mps.sh: nvidia-cuda-mps-control is not installed; it comes with NVIDIA's driver for Linux." \
        'Install it, or run the command without with_mps.sh.' >&2
    exit 1
fi

FOLDER=$(mktemp -d)
export CUDA_MPS_PIPE_DIRECTORY=$FOLDER CUDA_MPS_LOG_DIRECTORY=$FOLDER
end_service() {
    echo quit | nvidia-cuda-mps-control >/dev/null 2>&1 || true
    rm -rf -- "$FOLDER"
}
trap end_service EXIT
nvidia-cuda-mps-control -d

trap 'kill -TERM $(jobs -p) 2>/dev/null || true' INT TERM
"$@" &
CHILD=$!
STATUS=0
wait "$CHILD" || STATUS=$?
# a signal ends the wait, not the command, which may still write files
while kill -0 "$CHILD" 2>/dev/null; do
    STATUS=0
    wait "$CHILD" || STATUS=$?
done
exit "$STATUS"
