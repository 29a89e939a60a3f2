#!/usr/bin/env bash
# What placing a vision encoder in one way or another costs: two encoders of InternVL in their real widths, with few
# layers and random weights, under four placements, for 1 to 16 tiles.
set -euo pipefail

usage() {
    cat <<'END'
usage: tests/bench/vision_placements.sh [--encoder NAME] [--rate RATE] [--ranks N] [--layers N] [--repeat N] [--warmup N]
                                        [--tiles N,N] [--dtype TYPE] [--build DIR] [--out DIR]

Prints a table and keeps the raw results, DIR/vision-NAME-LINK.json. Time goes with the number of layers, as all are alike. On a
machine that does other things, believe none of it. `vision_placements.py DIR docs/partial-tp.md` makes the tables there.

  --encoder NAME   300m (1024 columns, 16 heads; 2 layers) or 6b (3200 columns, 25 heads, RMS norms, whole norms of q
                   and k; 1 layer)
  --rate RATE      every rank is a host of its own with a link of this rate (two_hosts.sh, which needs root): 1gbit;
                   without it ranks share memory
  --out DIR        build/vision_placements
END
}

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
encoder=300m rate='' ranks=2 layers='' repeat=3 warmup=1 tiles=1,2,4,8,16 dtype=bf16
build=$here/../../build/release out=$here/../../build/vision_placements
while (($#)); do
    case $1 in
        --encoder) encoder=$2 ;;
        --rate) rate=$2 ;;
        --ranks) ranks=$2 ;;
        --layers) layers=$2 ;;
        --repeat) repeat=$2 ;;
        --warmup) warmup=$2 ;;
        --tiles) tiles=$2 ;;
        --dtype) dtype=$2 ;;
        --build) build=$2 ;;
        --out) out=$2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 1 ;;
    esac
    shift 2
done

program=$(realpath "$build")/app/tesserank
[[ -x $program ]] || { echo "$program is not there: cmake --build --preset release --target tesserank" >&2; exit 1; }
mkdir -p "$out"
# Results name files as they were given: by names alone.
cd "$out"

# config HIDDEN INNER HEADS LAYERS NORM QK_NORM QKV_BIAS: behind the encoder a text model that takes no time.
config() {
    cat <<END
{"model_type": "internvl_chat", "ps_version": "v2", "downsample_ratio": 0.5, "select_layer": -1,
 "llm_config": {"model_type": "qwen2", "vocab_size": 512, "hidden_size": 896, "intermediate_size": 256,
                "num_hidden_layers": 1, "num_attention_heads": 14, "num_key_value_heads": 2, "hidden_act": "silu",
                "max_position_embeddings": 8192, "rms_norm_eps": 1e-6},
 "vision_config": {"model_type": "intern_vit_6b", "hidden_size": $1, "intermediate_size": $2,
                   "num_attention_heads": $3, "num_hidden_layers": $4, "norm_type": "$5", "qk_normalization": $6,
                   "qkv_bias": $7, "patch_size": 14, "image_size": 448, "hidden_act": "gelu"}}
END
}
case $encoder in
    300m) config 1024 4096 16 "${layers:-2}" layer_norm false true ;;
    6b) config 3200 12800 25 "${layers:-1}" rms_norm true false ;;
    *) echo "--encoder is \"$encoder\", expected 300m or 6b" >&2; exit 1 ;;
esac >"vision-$encoder.config.json"

launch=(mpirun --oversubscribe --bind-to none -n "$ranks")
if [[ -n $rate ]]; then launch=("$here/two_hosts.sh" --hosts "$ranks" --rate "$rate" -n "$ranks"); fi
"${launch[@]}" env OMP_NUM_THREADS=1 OMP_PROC_BIND=false OMP_WAIT_POLICY=passive "$program" bench "vision-$encoder.config.json" \
    --tiles "$tiles" --placement 'vision.*=shard' --placement 'vision.*.attention=replicate' --placement 'vision.*=split-batch' \
    --placement 'vision.*=replicate' --repeat "$repeat" --warmup "$warmup" --dtype "$dtype" --json "vision-$encoder-${rate:-shared}.json" --quiet
