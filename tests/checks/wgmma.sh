#!/usr/bin/env bash
# Fails where ptxas tells (C75..) that it lets threads wait for each product of Hopper's warpgroups before the next, or
# where nothing was compiled for them at all.
set -euo pipefail

if [[ $# != 1 || $1 == -h || $1 == --help ]]; then
    echo "usage: tests/checks/wgmma.sh NVCC"
    exit 1
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
said=$("$1" -std=c++20 -O3 --expt-relaxed-constexpr -I. -Xptxas -v -gencode arch=compute_90a,code=sm_90a -cubin \
    -o /dev/null kernels/cuda/attention_prefill_wgmma.cu 2>&1)
if grep -m 3 -E '\(C75[0-9]+\)' <<<"$said"; then exit 1; fi
grep -q "for 'sm_90a'" <<<"$said" || { echo "$said"; exit 1; }
echo "products of warpgroups overlap"
