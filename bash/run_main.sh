#!/usr/bin/env bash
# Trains, selects the best checkpoint of and tests every candidate, one after the other.
#
#   bash bash/run_main.sh                                    asks for project name and GPU count
#   bash bash/run_main.sh --project NAME --gpus N            asks nothing
#       [--candidates DIR/MODEL … | --candidates-file FILE]  instead of TEST_CANDI below
#       [--cfg-options KEY=VALUE …]                          for every candidate
#   bash bash/run_main.sh --help                             all options
#
# Run again, it skips what is finished and continues what was interrupted.
set -u

# Training configs below MODEL_CONFIG_PATH, without .py:
# configs/fastscnn/NAME.py is written fastscnn/NAME
TEST_CANDI=(
    gcnet/gcnet_r50-d8_4xb4-40k_wta-512x512
    gcnet/gcnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    apcnet/apcnet_r50-d8_4xb4-40k_wta-512x512
    apcnet/apcnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    pspnet/pspnet_r50-d8_4xb4-40k_wta-512x512
    pspnet/pspnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    fastscnn/fast_scnn_4xb4-40k_wta-512x512
    fastscnn/fast_scnn_4xb4-40k_wta_aug_peeling-512x512
    fastscnn/fast_scnn_4xb4-40k_wta-ce-512x512
    mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-40k_wta-512x512
    mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-40k_wta_aug_peeling-512x512
    upernet/upernet_r50_4xb4-40k_wta-512x512
    upernet/upernet_r50_4xb4-40k_wta_aug_peeling-512x512
    ann/ann_r50-d8_4xb4-40k_wta-512x512
    ann/ann_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    bisenetv2/bisenetv2_fcn_4xb4-40k_wta-512x512
    bisenetv2/bisenetv2_fcn_4xb4-40k_wta_aug_peeling-512x512
    beit/beit-base_upernet_4xb4-40k_wta-512x512
    beit/beit-base_upernet_4xb4-40k_wta_aug_peeling-512x512
    vit/vit_deit-b16_mln_upernet_4xb4-40k_wta-512x512
    vit/vit_deit-b16_mln_upernet_4xb4-40k_wta_aug_peeling-512x512
    ccnet/ccnet_r50-d8_4xb4-40k_wta-512x512
    ccnet/ccnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    danet/danet_r50-d8_4xb4-40k_wta-512x512
    danet/danet_r50-d8_4xb4-40k_wta_aug_peeling-512x512
    deeplabv3/deeplabv3_r50-d8_4xb4-40k_wta-256x256
    deeplabv3/deeplabv3_r50-d8_4xb4-40k_wta_aug-256x256
    bisenetv1/bisenetv1_r18-d32_4xb4-40k_wta-256x256
    bisenetv1/bisenetv1_r18-d32_4xb4-40k_wta_aug-256x256
    fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-40k_wta-256x256
    fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-40k_wta_aug-256x256
    deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_wta-256x256
    deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_wta_aug-256x256
    deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_final_relabeled-512x512
)

# where the configs are
MODEL_CONFIG_PATH=./configs

# where the results go: WORK_DIR/<project>
WORK_DIR=./work_dirs

# where find_best.py is, which picks the checkpoint to test
FIND_BEST_DIR=./bash

# The three paths above count from the project's root, wherever the job is started.
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 1

# PYTHON if given; else the first interpreter that has the dependencies: the active one, then what make installs
if [[ -z "${PYTHON:-}" ]]; then
    for PYTHON in python python3 "$ROOT/.venv/bin/python"; do
        "$PYTHON" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("mmengine") is None)' \
            2>/dev/null && break
        PYTHON=
    done
    if [[ -z "$PYTHON" ]]; then
        echo "No Python with mmengine found: activate the environment, or run 'pip install -e .' first." >&2
        exit 1
    fi
fi

# Take out what is asked for where it is missing; the rest goes to run_candidates.py as it is.
ASK_PROJECT=1 ASK_GPUS=1 HAVE_CANDIDATES=0
REST=()
while (($# > 0)); do
    case $1 in
        -h | --help) exec "$PYTHON" "$ROOT/bash/run_candidates.py" --help ;;
        --project | --gpus)
            if (($# < 2)); then
                echo "$1 needs a value." >&2
                exit 1
            fi
            if [[ $1 == --project ]]; then PROJECT_NAME=$2 ASK_PROJECT=0; else GPU_COUNT=$2 ASK_GPUS=0; fi
            shift 2
            ;;
        --project=*) PROJECT_NAME=${1#*=} ASK_PROJECT=0 && shift ;;
        --gpus=*) GPU_COUNT=${1#*=} ASK_GPUS=0 && shift ;;
        *)
            case $1 in --candidates | --candidates=* | --candidates-file | --candidates-file=*) HAVE_CANDIDATES=1 ;; esac
            REST+=("$1")
            shift
            ;;
    esac
done

# `read -p` shows its prompt on a terminal only; printf shows it where answers are piped in, too.
if ((ASK_PROJECT)); then
    printf 'Enter Project Name : ' >&2
    IFS= read -r PROJECT_NAME || true
fi
if [[ -z "${PROJECT_NAME//[[:space:]]/}" ]]; then
    echo "Empty name is not acceptable."
    exit 1
fi

if ((ASK_GPUS)); then
    printf 'Enter Gpu Count : ' >&2
    read -r GPU_COUNT || true
fi
# eight digits at most: beyond them the comparison would wrap around
if ! [[ "$GPU_COUNT" =~ ^[0-9]{1,8}$ ]] || ((10#$GPU_COUNT <= 0)); then
    echo "0 or Negative number of Gpu is not acceptable."
    exit 1
fi

if ((!HAVE_CANDIDATES)); then
    REST=(--candidates "${TEST_CANDI[@]}" ${REST[@]+"${REST[@]}"})
fi

exec "$PYTHON" "$ROOT/bash/run_candidates.py" \
    --config-root "$MODEL_CONFIG_PATH" --work-dir "$WORK_DIR" --find-best-dir "$FIND_BEST_DIR" \
    --project="$PROJECT_NAME" --gpus "$((10#$GPU_COUNT))" ${REST[@]+"${REST[@]}"}
