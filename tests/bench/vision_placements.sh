#!/usr/bin/env bash
# What placing a vision encoder in one way or another costs: two encoders of InternVL in their real widths, with few
# layers and random weights, under four placements, for 1 to 16 tiles.
set -euo pipefail

usage() {
    cat <<'END'
usage: tests/bench/vision_placements.sh [--ranks N] [--layers N] [--large-layers N] [--repeat N] [--tiles N,N]
                                        [--dtype TYPE] [--build DIR] [--out DIR]

Prints a table for each encoder (300M: 1024 columns, 16 heads; 6B: 3200 columns, 25 heads, RMS norms, whole norms of q
and k) and keeps the raw results, DIR/vision-300m.json and DIR/vision-6b.json. Time goes with the number of layers, as
all are alike. On a machine that does other things, believe none of it.
END
}

ranks=2 layers=2 large_layers=1 repeat=3 tiles=1,2,4,8,16 dtype=f32
build=build/release out=build/vision_placements
while (($#)); do
    case $1 in
        --ranks) ranks=$2 ;;
        --layers) layers=$2 ;;
        --large-layers) large_layers=$2 ;;
        --repeat) repeat=$2 ;;
        --tiles) tiles=$2 ;;
        --dtype) dtype=$2 ;;
        --build) build=$2 ;;
        --out) out=$2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 1 ;;
    esac
    shift 2
done

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
program=$build/app/tesserank
[[ -x $program ]] || { echo "$program is not there: cmake --build --preset release --target tesserank" >&2; exit 1; }
mkdir -p "$out"

# config NAME HIDDEN INNER HEADS LAYERS NORM QK_NORM QKV_BIAS: behind the encoder a text model that takes no time.
config() {
    cat >"$out/$1.json" <<END
{"model_type": "internvl_chat", "ps_version": "v2", "downsample_ratio": 0.5, "select_layer": -1,
 "llm_config": {"model_type": "qwen2", "vocab_size": 512, "hidden_size": 896, "intermediate_size": 256,
                "num_hidden_layers": 1, "num_attention_heads": 14, "num_key_value_heads": 2, "hidden_act": "silu",
                "max_position_embeddings": 8192, "rms_norm_eps": 1e-6},
 "vision_config": {"model_type": "intern_vit_6b", "hidden_size": $2, "intermediate_size": $3,
                   "num_attention_heads": $4, "num_hidden_layers": $5, "norm_type": "$6", "qk_normalization": $7,
                   "qkv_bias": $8, "patch_size": 14, "image_size": 448, "hidden_act": "gelu"}}
END
}
config vision-300m 1024 4096 16 "$layers" layer_norm false true
config vision-6b 3200 12800 25 "$large_layers" rms_norm true false

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMP_WAIT_POLICY=passive
for encoder in vision-300m vision-6b; do
    mpirun --oversubscribe --bind-to none -n "$ranks" "$program" bench "$out/$encoder.json" --tiles "$tiles" \
        --placement 'vision.*=shard' --placement 'vision.*.attention=replicate' --placement 'vision.*=split-batch' \
        --placement 'vision.*=replicate' --repeat "$repeat" --dtype "$dtype" --json "$out/$encoder.result.json" --quiet
done
