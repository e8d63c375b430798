#!/usr/bin/env bash
# The studies losses, gamma and imbalance on 600 rendered images: 15 trainings of Fast-SCNN, three seeds each.
#
#   bash tools/studies/rendered.sh [OUT] [options of tools/study.py]
#
# OUT (default: work_dirs/rendered_studies/bundle) gets what is worth keeping in a few small files: results.json,
# a page for each study, the tables, the last lines of logs that ended badly. Run again, it goes on where it stopped.
#
#   TIME_LIMIT=540  stop after so many seconds, rendering included, and report what there is (default: none)
#   ITERS=2400      iterations of each training, in batches of eight 512 x 512 crops
#   JOBS=15         trainings side by side (default: one a core, at most 15)
#   DATA=DIR        where the rendered images are, or go (default: data/rendered_600)
#   PYTHON=python3  the interpreter
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
OUT=$(realpath -m -- "${1:-$ROOT/work_dirs/rendered_studies/bundle}")
shift || true
cd "$ROOT"

PYTHON=${PYTHON:-python3}
DATA=${DATA:-data/rendered_600}
CORES=$(env -u OMP_NUM_THREADS nproc)  # nproc would answer with OMP_NUM_THREADS
JOBS=${JOBS:-$((CORES < 15 ? CORES : 15))}

"$PYTHON" tools/dataset_tools/render_blades.py --out "$DATA" --train 400 --val 100 --test 100 --size 512 --seed 0

LIMIT=()
if [[ -n ${TIME_LIMIT:-} ]]; then LIMIT=(--time-limit "$((TIME_LIMIT - SECONDS))"); fi

exec "$PYTHON" tools/study.py losses gamma imbalance \
    --data "$DATA" --project rendered_studies --seeds 3 --jobs "$JOBS" \
    --iters "${ITERS:-2400}" --validations 5 ${LIMIT[@]+"${LIMIT[@]}"} --bundle "$OUT" "$@" \
    --cfg-options train_dataloader.batch_size=8 val_dataloader.batch_size=10 test_dataloader.batch_size=10 \
    env_cfg.cudnn_benchmark=False
