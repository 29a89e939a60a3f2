# The program as a user runs it on GPUs, on the emulated one and with the double of NCCL, which it loads by NCCL's name.
# What replaces a part of a library stands before it on the linker's line.
set(nccl_folder ${CMAKE_CURRENT_BINARY_DIR}/emulated)
add_custom_target(nccl_double_by_name
  COMMAND ${CMAKE_COMMAND} -E make_directory ${nccl_folder}
  COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE:nccl_double> ${nccl_folder}/libnccl.so.2
  DEPENDS nccl_double)
add_executable(tesserank_emulated $<TARGET_OBJECTS:tesserank_program> ${PROJECT_SOURCE_DIR}/tests/support/load_nccl_double.cpp
                                  ${PROJECT_SOURCE_DIR}/tests/support/pmpi_device.cpp)
target_include_directories(tesserank_emulated BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/emulation/include)
target_link_libraries(tesserank_emulated
  PRIVATE tesserank_emulated_nccl tesserank_emulated_cuda tesserank_plan_page tesserank_io tesserank_model
          tesserank_parallel tesserank_kernels MPI::MPI_CXX Boost::program_options PkgConfig::HWLOC)
set_target_properties(tesserank_emulated PROPERTIES ENABLE_EXPORTS ON BUILD_RPATH ${nccl_folder})
tesserank_compile_options(tesserank_emulated)
add_dependencies(tesserank_emulated nccl_double_by_name)

# emulated_test(name ranks SCRIPT script ARGUMENTS ...): a device for each rank.
function(emulated_test name ranks)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "LABEL;SCRIPT" "ARGUMENTS")
  add_test(NAME ${name}
           COMMAND ${TESSERANK_PYTHON} ${PROJECT_SOURCE_DIR}/tests/app/${arg_SCRIPT} --tesserank
                   $<TARGET_FILE:tesserank_emulated> --ranks ${ranks} --mpiexec ${MPIEXEC_EXECUTABLE} ${arg_ARGUMENTS})
  # The sanitizers' own dlopen() does not look where the program's run path points.
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 600 PROCESSORS 2
                       ENVIRONMENT "${UNCHECKED_ENVIRONMENT};TESSERANK_EMULATED_DEVICES=${ranks}"
                       ENVIRONMENT_MODIFICATION LD_LIBRARY_PATH=path_list_prepend:${nccl_folder})
endfunction()

# emulated_golden(case ranks [option ...]): --new-tokens keeps them short; a step takes a second here.
function(emulated_golden case ranks)
  list(JOIN ARGN "" variant)
  string(REGEX REPLACE "--[a-z-]+=" "/" variant "${variant}")
  emulated_test(golden/emulated/${case}${variant}@${ranks} ${ranks} LABEL golden SCRIPT golden_case.py
                ARGUMENTS --case ${GOLDEN_MODELS}/${case} --backend cuda --seconds 500 ${ARGN})
  if("${ARGN}" MATCHES fused)
    # A row for each: the batch's rows are summed within kernels.
    set_property(TEST golden/emulated/${case}${variant}@${ranks} APPEND PROPERTY
                 ENVIRONMENT TESSERANK_EMULATED_MULTIPROCESSORS=24)
  endif()
endfunction()

# Whole models: under the sanitizers a step would take a minute, and what it runs there is what the tests of the
# operations and of the loops run.
if(TESSERANK_SANITIZE)
  # None.
elseif(NOT DEFINED ENV{TESSERANK_EVERY_PLAN})
  foreach(case IN LISTS GOLDEN_COVERED)
    emulated_golden(${case} 1 --new-tokens=3)
  endforeach()
  emulated_golden(llama-gqa-rope3 2 --new-tokens=4 --comm=nccl)
  emulated_golden(mistral-swa8 2 --new-tokens=4 --comm=mpi --placement=split-batch-attention)
  emulated_golden(qwen2-tied-kv3 3 --new-tokens=4 --comm=nccl --placement=replicate-attention)
  emulated_golden(qwen3-qknorm 3 --new-tokens=4 --comm=nccl --placement=split-batch-attention)
  emulated_golden(llama-gqa-rope3-bf16 2 --new-tokens=4 --comm=nccl --dtype=bf16)
  emulated_golden(llama-gqa-rope3 2 --new-tokens=4 --comm=mpi --fused-all-reduce=yes)
  emulated_golden(qwen2-tied-kv3 3 --new-tokens=4 --comm=nccl --fused-all-reduce=auto)
  emulated_golden(internvl-hf 1 --new-tokens=2)
  emulated_golden(internvl-orig-qwen2 2 --new-tokens=2 --comm=nccl --placement=split-batch)
  emulated_golden(internvl-orig-25heads-bf16 3 --new-tokens=2 --comm=nccl)
else()
  foreach(case IN LISTS GOLDEN_COVERED GOLDEN_VISION)
    emulated_golden(${case} 1)
    emulated_golden(${case} 1 --dtype=bf16)
    foreach(placement IN ITEMS shard replicate replicate-attention split-batch-attention)
      emulated_golden(${case} 2 --new-tokens=8 --comm=nccl --placement=${placement})
      emulated_golden(${case} 3 --new-tokens=8 --comm=nccl --placement=${placement})
      emulated_golden(${case} 3 --new-tokens=8 --comm=mpi --placement=${placement})
    endforeach()
    emulated_golden(${case} 3 --new-tokens=8 --comm=nccl --dtype=bf16)
    emulated_golden(${case} 2 --new-tokens=8 --comm=nccl --fused-all-reduce=yes)
    emulated_golden(${case} 3 --new-tokens=8 --comm=mpi --fused-all-reduce=yes)
  endforeach()
endif()

# With sanitizers a step takes longer than its watchdog waits.
if(NOT TESSERANK_SANITIZE)
  add_test(NAME app/fault/stopped_within_kernel
           COMMAND ${TESSERANK_PYTHON} ${PROJECT_SOURCE_DIR}/tests/app/faults/ranks_test.py --tesserank $<TARGET_FILE:tesserank_emulated>
                   --golden ${PROJECT_SOURCE_DIR}/tests/golden --mpiexec ${MPIEXEC_EXECUTABLE}
                   --count-reads $<TARGET_FILE:count_reads> stopped_within_kernel)
  set_tests_properties(app/fault/stopped_within_kernel PROPERTIES LABELS mpi TIMEOUT ${TEST_TIMEOUT} RUN_SERIAL ON
                       ENVIRONMENT "${UNCHECKED_ENVIRONMENT};TESSERANK_EMULATED_MULTIPROCESSORS=24"
                       ENVIRONMENT_MODIFICATION LD_LIBRARY_PATH=path_list_prepend:${nccl_folder})
endif()

foreach(ranks IN ITEMS 1 2)
  emulated_test(app/emulated@${ranks} ${ranks} LABEL mpi SCRIPT emulated_test.py
                ARGUMENTS --golden ${PROJECT_SOURCE_DIR}/tests/golden)
endforeach()
