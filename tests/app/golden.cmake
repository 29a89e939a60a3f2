# The golden cases, run through the program as a user would. A case whose family is not covered yet is listed here, and
# a test holds the list against what the program says and against the folder: nothing is skipped in silence.
set(GOLDEN_MODELS ${PROJECT_SOURCE_DIR}/tests/golden/models)
set(GOLDEN_COVERED llama-5heads-kv1 llama-gqa-rope3 llama-gqa-rope3-bf16 mistral-swa8 qwen2-tied-kv3 qwen3-qknorm)
set(GOLDEN_VISION internvl-hf internvl-orig-25heads-bf16 internvl-orig-psv1-bf16 internvl-orig-qwen2)
set(GOLDEN_NOT_COVERED mixtral-4x2-bf16 qwen3moe-6x2)

# golden_test(case ranks [option ...])
function(golden_test case ranks)
  list(JOIN ARGN "," variant)
  string(REGEX REPLACE "--[a-z-]+=" "/" variant "${variant}")
  program_test(golden/${case}${variant}@${ranks} LABEL golden SCRIPT golden_case.py
               ARGUMENTS --case ${GOLDEN_MODELS}/${case} --ranks ${ranks} --mpiexec ${MPIEXEC_EXECUTABLE} ${ARGN})
endfunction()

foreach(case IN LISTS GOLDEN_COVERED)
  foreach(ranks IN ITEMS 1 2 3 4)
    golden_test(${case} ${ranks})
  endforeach()
  golden_test(${case} 7 --batch=2)
  golden_test(${case} 3 --placement=replicate)
  golden_test(${case} 2 --placement=replicate-attention)
  golden_test(${case} 3 --placement=replicate-attention)
  golden_test(${case} 4 --placement=split-batch)
  golden_test(${case} 3 --placement=split-batch-attention)
  golden_test(${case} 2 --placement=*.attention=single:1)
  golden_test(${case} 2 --backend=reference)
  golden_test(${case} 2 --dtype=bf16)
  golden_test(${case} 2 --prefill-chunk=3)
endforeach()

program_test(golden/not-covered-yet LABEL golden SCRIPT golden_not_covered.py
             ARGUMENTS --models ${GOLDEN_MODELS} --covered ${GOLDEN_COVERED} ${GOLDEN_VISION} --not-covered ${GOLDEN_NOT_COVERED})
