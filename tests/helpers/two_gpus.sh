#!/usr/bin/env bash
# Everything that two GPUs are tried for, in about six minutes; each part has a time limit of its own:
#   OUT=DIR tests/helpers/two_gpus.sh
# Results: DIR/nccl_probe.json, DIR/two_gpus.json; output: DIR/*.log. Speed is measured alone, the rest side by side.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=${OUT:-$(mktemp -d)} PYTHON=${PYTHON:-python}
export OUT PYTHON PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" NCCL_NVLS_ENABLE=0 OMP_NUM_THREADS=1
export WTA_SEG_TRACEBACK=1
FILE=tests/mmseg/engine/test_two_gpus.py
start=$SECONDS

show() { # name, lines of its log
    echo "=== $1: $((SECONDS - start)) s"
    tail -n "$2" "$OUT/$1.log" | cut -c1-1500
}
try() { # name, seconds, expression of pytest
    timeout -k 5 "$2" "$PYTHON" -m pytest -q -s -m gpu "$FILE" -k "$3" >"$OUT/$1.log" 2>&1
}

timeout -k 5 60 "$PYTHON" -m torch.distributed.run --standalone --nproc_per_node=2 tests/helpers/nccl_probe.py \
    >"$OUT/probe.log" 2>&1
show probe 25
try speed_fast_scnn 90 'speed and fast_scnn'
show speed_fast_scnn 30
try speed_pspnet 90 'speed and pspnet'
show speed_pspnet 30
try equal 200 validate_as_one &
try killed 200 killed &
try others 200 'augment or study' &
wait
show equal 60
show killed 40
show others 40
