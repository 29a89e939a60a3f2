# The CUDA backend; tests/emulation builds the same files as plain C++.
set(kernels_cuda_sources
  attention_decode.cu attention_decode_mma.cu attention_decode_plain.cu attention_prefill.cu attention_prefill_mma.cu
  attention_prefill_plain.cu attention_prefill_wgmma.cu convert_rows.cu cublas_lt.cpp cublas_lt_library.cpp
  cuda_backend.cpp devices.cpp elementwise.cu embedding.cu gemm.cpp memory.cpp norm.cu peer_norm.cu peer_norms.cpp
  prepare_attention.cu prepare_heads.cu quantise_rows.cu resident_decode.cpp resident_decode.cu row_gemm.cu sampling.cu stream_gemm.cu
  token_choice.cu token_scan.cu top_tokens.cu vision.cu watch.cpp write_to_host.cu)
list(TRANSFORM kernels_cuda_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
