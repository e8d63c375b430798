#!/usr/bin/env bash
# The studies of docs/studies.md on rendered images.
#
#   bash tools/studies/rendered.sh OUT [PART ...]
#
#   losses    400 training images: losses, gamma and imbalance, 45 runs of Fast-SCNN
#   schedule  the same images: four losses for the 40,000 iterations of the config
#   edits     100 unstyled training images, edited by the demo model, tested on all looks: pays, twins, words, ratio,
#             relabel and loss_aug, 3 seeds each
#   final     the images of edits: the twelve models on original and on edited images, one seed
#
# Without a PART: schedule beside edits, then final. Run again, it goes on where it stopped. OUT gets, for each project,
# its results as JSON and an archive of its pages, tables, the last lines of logs that ended badly and the counts of its tests.
#
#   TIME_LIMIT=540  stop after so many seconds, all steps included, and report what there is (default: none)
#   ITERS=2400      iterations of each training but those of schedule, in batches of eight 512 x 512 crops
#   JOBS=24         trainings side by side besides the four of schedule (default: three quarters of the cores, at most 24)
#   WORK=DIR        where datasets and projects are, or go (default: work_dirs/rendered)
#   COMMIT=HASH     commit of the code, where it is no git checkout
#   PYTHON=python3  the interpreter
#   SEED=21         of the rendered images of edits; the demo model was trained on seed 11
#   IMAGES='100 70 140'              training, validation and test images of edits
#   LONG_ITERS=40000 LONG_IMAGES='400 100 100'   of losses and schedule: iterations of schedule, images
#   EDIT_OPTIONS='--batch-size 48'   further options of wta-seg augment
#   EDITORS=6                        processes that edit on each GPU
#   FINAL='Fast-SCNN PSPNet'         only these models of final, six trainings side by side (default: all twelve)
set -euo pipefail

if [[ $# -eq 0 ]]; then
    sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
OUT=$(realpath -m -- "$1")
shift
PARTS=" ${*:-schedule edits final} "
for part in $PARTS; do
    case $part in losses | schedule | edits | final) ;; *)
        echo "rendered.sh: $part is no part; expected losses, schedule, edits or final" >&2
        exit 2
        ;;
    esac
done
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

PYTHON=${PYTHON:-python3}
WORK=$(realpath -m -- "${WORK:-work_dirs/rendered}")
CORES=$(env -u OMP_NUM_THREADS nproc)  # nproc would answer with OMP_NUM_THREADS
JOBS=${JOBS:-$((CORES * 3 / 4 < 24 ? (CORES * 3 + 3) / 4 : 24))}
SEED=${SEED:-21}
read -r TRAIN VAL TEST <<<"${IMAGES:-100 70 140}"
read -r LONG_TRAIN LONG_VAL LONG_TEST <<<"${LONG_IMAGES:-400 100 100}"
LONG_ITERS=${LONG_ITERS:-40000}
read -r -a EDIT_OPTIONS <<<"${EDIT_OPTIONS:---batch-size 48}"
EDITORS=${EDITORS:-6}
WORDS=(scratch rust peeling corrosion blistering dent)
LONG_SET=$WORK/rendered_$((LONG_TRAIN + LONG_VAL + LONG_TEST))
SET=$WORK/blades
# seconds for stopping, reports and archives at the end
RESERVE=60
export PYTHONUNBUFFERED=1
mkdir -p "$WORK/log" "$OUT"

has() { [[ $PARTS == *" $1 "* ]]; }
step() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
cli() { "$PYTHON" -m wtaseg "$@"; }
finish() {  # wait for the processes given as NAME=PID; their output is in log/NAME
    local pair status=0
    for pair in "$@"; do
        if ! wait "${pair#*=}"; then
            echo "rendered.sh: ${pair%%=*} failed:" >&2
            tail -n 20 "$WORK/log/${pair%%=*}" >&2
            status=1
        fi
    done
    return $status
}

"$PYTHON" -c 'import accelerate, cv2, cyclopts, diffusers, matplotlib, mmcv, mmengine, mmseg, pandas, rich, scipy, skimage, torch
import transformers, augment, wtaseg; print(torch.__version__, torch.cuda.device_count(), "GPUs;", mmseg.__file__)'
GPUS=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())')
LAST=$((GPUS > 1 ? GPUS - 1 : 0))
DEVICE=$([[ $GPUS -gt 0 ]] && echo cuda:0 || echo cpu)

# ------------------------------------------------------------------ trainings

study() {  # PROJECT, then arguments of wta-seg study
    local project=$1 limit=()
    shift
    if [[ -n ${TIME_LIMIT:-} ]]; then
        limit=(--time-limit "$((TIME_LIMIT - SECONDS > RESERVE ? TIME_LIMIT - SECONDS - RESERVE : 1))")
    fi
    cli study "$@" --project "$project" --work-dir "$WORK" --workers 2 --from-scratch --intervals ${limit[@]+"${limit[@]}"} \
        ${COMMIT:+--commit "$COMMIT"} --bundle "$WORK/bundle/$project" \
        --cfg-options val_dataloader.batch_size=10 test_dataloader.batch_size=10 env_cfg.cudnn_benchmark=False \
        ${CFG_OPTIONS:-}
}
short() { CFG_OPTIONS=train_dataloader.batch_size=8 study "$@" --iters "${ITERS:-2400}" --validations 5 --jobs "$JOBS"; }

long_set() {
    cli render --out "$LONG_SET" --train "$LONG_TRAIN" --val "$LONG_VAL" --test "$LONG_TEST" --seed 0 >"$WORK/log/render" 2>&1
}
losses() {
    long_set
    short rendered_studies losses gamma imbalance --data "$LONG_SET" --seeds 3
}
schedule() {  # batches as in the config; on the last GPU
    long_set
    CUDA_VISIBLE_DEVICES=$LAST MMSEG_CORES=4 study schedule losses --data "$LONG_SET" --jobs 4 --iters "$LONG_ITERS" \
        --only 'Focal Loss' 'Tversky Loss' 'CrossEntropy Loss' 'Dice Loss'
}
edits() {
    short edits pays twins words ratio relabel loss_aug --by-study --seeds 3 --data "$SET" \
        --not-relabelled "${SET}_aug_peeling" --relabelled "${SET}_aug_peeling_proposed"
}
final() {
    local only=()
    if [[ -n ${TIME_LIMIT:-} ]] && ((TIME_LIMIT - SECONDS < RESERVE + 60)); then
        step 'no time is left for final'
        return 1
    fi
    read -r -a only <<<"${FINAL:-}"
    JOBS=$((JOBS < 6 ? JOBS : 6)) short edits final --data "$SET" ${only[@]+--only "${only[@]}"}
}

# ------------------------------------------------------------------ images

render() {
    local kind
    cli render --out "$WORK/plain" --train "$TRAIN" --val 0 --test 0 --seed "$SEED" || return 1
    cli render --out "$WORK/looks" --train 0 --val "$VAL" --test "$TEST" --seed "$SEED" --style none "${WORDS[@]}" || return 1
    for kind in img_dir ann_dir; do
        mkdir -p "$SET/$kind"
        cp -r "$WORK/plain/$kind/train" "$WORK/looks/$kind/val" "$WORK/looks/$kind/test" "$SET/$kind/" || return 1
    done
    cp "$WORK/plain/render.json" "$WORK/looks/styles.json" "$SET/"
}
edit() {  # GPU, processes, then arguments of wta-seg augment
    CUDA_VISIBLE_DEVICES=$([[ $GPUS -gt 0 ]] && echo "$1") "$PYTHON" -m torch.distributed.run --standalone \
        --nproc_per_node "$2" augment/run.py --data "$SET" --model demo --device "$DEVICE" "${EDIT_OPTIONS[@]}" "${@:3}"
}
images() {
    step 'rendering'
    render >"$WORK/log/images" 2>&1 || { tail -n 20 "$WORK/log/images" >&2; return 1; }
    step 'inversions and the first edits'
    edit 0 "$EDITORS" --word peeling --summary >"$WORK/log/peeling" 2>&1 & local peeling=$!
    edit "$LAST" "$EDITORS" --word peeling --mode plant --ratio 1 >"$WORK/log/plant" 2>&1 & local plant=$!
    cli bench twins "$SET" --word peeling --workers "$((CORES / 4 + 1))" >"$WORK/log/twins" 2>&1 & local twins=$!
    cli augment --data "$SET" --mode paste --ratio 1 >"$WORK/log/paste" 2>&1 & local paste=$!
    finish peeling=$peeling || return 1
    step 'the other words'
    local word gpu=0 running=()
    for word in "${WORDS[@]}"; do
        if [[ $word != peeling ]]; then
            edit "$gpu" "$((EDITORS / 3 + 1))" --word "$word" >"$WORK/log/$word" 2>&1 &
            running+=("$word=$!")
            gpu=$((gpu == LAST ? 0 : LAST))
        fi
    done
    cli relabel "${SET}_aug_peeling" --out "${SET}_aug_peeling_proposed" >"$WORK/log/relabel" 2>&1 &
    running+=("relabel=$!")
    finish plant=$plant || return 1
    cli relabel "${SET}_plant_peeling" >"$WORK/log/relabel_plant" 2>&1 &
    running+=("relabel_plant=$!")
    finish paste=$paste twins=$twins "${running[@]}" || return 1
    step 'edited'
    tail -q -n 4 "$WORK"/log/{peeling,plant,paste,scratch,rust,corrosion,blistering,dent,relabel,relabel_plant}
    touch "$WORK/edited"
}

# ------------------------------------------------------------------ all of it

collect() {  # PROJECT: into OUT
    local folder=$WORK/bundle/$1
    [[ -f $folder/results.json ]] || return 0
    cp "$folder/results.json" "$OUT/$1.json"
    if [[ $1 == edits ]]; then cp "$SET/styles.json" "$folder/"; fi
    (cd "$WORK" && find "$1" -name '*counts*.npz' -print0 | tar czf "bundle/$1/counts.tgz" --null -T -)
    tar czf "$OUT/$1.tgz" -C "$WORK/bundle" "$1"
}

STATUS=0
BACKGROUND=
if has schedule; then
    schedule >"$WORK/log/schedule" 2>&1 &
    BACKGROUND=$!
fi
if has losses; then losses || STATUS=$?; fi
READY=1
if has edits || has final; then
    if [[ ! -f $WORK/edited ]]; then images || READY=0 STATUS=1; fi
    step 'studies'
fi
if has edits && [[ $READY == 1 ]]; then edits || STATUS=$?; fi
if has final && [[ $READY == 1 ]]; then final || STATUS=$?; fi
if [[ -n $BACKGROUND ]]; then finish schedule=$BACKGROUND || STATUS=$?; fi
step 'collecting'
for project in rendered_studies schedule edits; do collect "$project"; done
for sheet in summary review/proposals; do
    file=${SET}_aug_peeling$([[ $sheet == summary ]] || echo _proposed)/$sheet.png
    if [[ -f $file ]]; then cp "$file" "$OUT/${sheet##*/}.png"; fi
done
tar czf "$OUT/log.tgz" -C "$WORK" log
step "done, status $STATUS; results in $OUT"
exit $STATUS
