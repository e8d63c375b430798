#!/usr/bin/env bash
# From nothing to results on a rendered dataset: what `make demo` runs. Run again, it goes on where it stopped.
#
#   bash bash/demo.sh [PROJECT]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# At this size one thread is faster than two that wait for each other; the loader has the other core.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
PROJECT=${1:-demo}
DATA=data/wta_demo

python tools/dataset_tools/render_blades.py --out "$DATA" --train 160 --val 16 --test 40
python tools/dataset_tools/check_dataset.py "$DATA"
bash bash/run_main.sh --project "$PROJECT" --gpus 1 --candidates \
    fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96 \
    fastscnn/fast_scnn_1xb8-1k_wta_demo-ce-96x96
python tools/analysis_tools/results_table.py "work_dirs/$PROJECT"
python tools/analysis_tools/plot_curves.py "work_dirs/$PROJECT"
python tools/analysis_tools/plot_overlays.py "work_dirs/$PROJECT" --count 6

printf '\nDone in %d min %d s. Look at\n' $((SECONDS / 60)) $((SECONDS % 60))
printf '  work_dirs/%s/%s\n' "$PROJECT" results.md "$PROJECT" curves/ "$PROJECT" overlays/
