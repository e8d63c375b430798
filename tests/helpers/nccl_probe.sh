#!/usr/bin/env bash
# Whether NCCL works with two GPUs: a program that needs torch alone, then 20 iterations of Fast-SCNN in two processes.
#   OUT=DIR tests/helpers/nccl_probe.sh
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=${OUT:-$(mktemp -d)} PYTHON=${PYTHON:-python}
export OUT PYTHON PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" NCCL_NVLS_ENABLE=0 OMP_NUM_THREADS=1
export WTA_SEG_TRACEBACK=1
status=0
timeout 60 "$PYTHON" -m torch.distributed.run --standalone --nproc_per_node=2 tests/helpers/nccl_probe.py || status=1
"$PYTHON" tests/helpers/squares.py "$OUT/squares" 256 16 || exit 1
start=$SECONDS
timeout 120 bash tools/dist_train.sh fastscnn/fast_scnn_4xb4-40k_wta-512x512 2 --data "$OUT/squares" \
    --work-dir "$OUT/work" --from-scratch --cfg-options train_cfg.max_iters=20 train_cfg.val_interval=20 \
    default_hooks.logger.interval=5 default_hooks.checkpoint.interval=20 env_cfg.cudnn_benchmark=False \
    train_dataloader.num_workers=2 val_dataloader.num_workers=1 >"$OUT/train.log" 2>&1
trained=$?
tail -n 25 "$OUT/train.log"
echo "{\"check\": \"training\", \"status\": $trained, \"seconds\": $((SECONDS - start))}" | tee -a "$OUT/nccl_probe.json"
rm -rf "$OUT/squares" "$OUT/work"
exit $((status || trained))
