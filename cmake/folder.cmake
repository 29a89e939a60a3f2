# folder_library(name SOURCES ... HEADERS ... USES ... [PRIVATE_USES ...])
#
# One library per source folder, tesserank_<name>, with the warnings, sanitizers and header checks that all share.
# USES are what the folder's public headers need; PRIVATE_USES stay inside it.
function(folder_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;USES;PRIVATE_USES")
  set(target tesserank_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(${target} PUBLIC ${arg_USES} PRIVATE ${arg_PRIVATE_USES})
  tesserank_compile_options(${target})
endfunction()

# Warnings and sanitizers for a target of ours.
function(tesserank_compile_options target)
  target_compile_definitions(${target} PRIVATE OMPI_SKIP_MPICXX)
  set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow $<$<BOOL:${TESSERANK_WERROR}>:-Werror>)
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:${warnings}>")
  # What nvcc generates around kernels is neither pedantic nor free of conversions. 177: a constant that is not used where a
  # kernel is left out, as those for one architecture are on the others.
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-lineinfo;--diag-suppress=177;SHELL:-Xcompiler -Wall,-Wextra,-Wshadow>"
    "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${TESSERANK_WERROR}>>:SHELL:-Werror all-warnings>")
  # g++ 12 takes `"text" + std::string` for an overlapping copy (GCC bug 105651, mended in 13).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C,CXX>:-Wno-restrict>)
  endif()
  if(TESSERANK_SANITIZE)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${TESSERANK_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=undefined>")
    target_link_options(${target} PUBLIC -fsanitize=${TESSERANK_SANITIZE})
  endif()
endfunction()
