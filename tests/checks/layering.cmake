# cmake -D ROOT=<tree> -P layering.cmake
#
# Fails on an #include that points up the layers, that is not written from the root of the tree, or that brings a
# third-party header into a folder that should not know it. The lists say what a folder may include, so that a new
# library has to be added here, where a reviewer sees it.

set(layers kernels parallel model io app) # from the bottom; a folder may include itself and those before it

# Standard headers have no dot and no slash; these are the others, as regular expressions of the text within <>.
set(posix "(fcntl|unistd|signal|sched|pthread|dlfcn|poll|sys/[a-z]+|netinet/[a-z]+)\\.h")
set(third_party_kernels "${posix}|Random123/.*")
set(third_party_kernels_kokkos "Kokkos_.*|oneapi/dnnl/.*|dnnl.*|omp\\.h|[a-z]*intrin\\.h|cpuid\\.h")
set(third_party_parallel "${posix}|mpi\\.h")
set(third_party_model "fnmatch\\.h") # the shell's patterns, for rules over module names
set(third_party_io "${posix}|hdf5(_hl)?\\.h|H5.*|nlohmann/.*|pcre2\\.h|utf8proc\\.h|xxhash\\.h|openssl/.*")
set(third_party_app "${posix}|boost/program_options.*")

function(check_include file line_number line)
  if(NOT line MATCHES "^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]")
    return()
  endif()
  set(quote "${CMAKE_MATCH_1}")
  set(included "${CMAKE_MATCH_2}")
  string(REGEX MATCH "^[^/]+" folder "${file}")

  if(quote STREQUAL "\"")
    string(REGEX MATCH "^[^/]+" target "${included}")
    list(FIND layers "${folder}" from)
    list(FIND layers "${target}" to)
    if(to EQUAL -1)
      set(problem "write our headers from the root, as \"folder/file.hpp\"")
    elseif(to GREATER from)
      set(problem "${folder} may not know ${target}, which is above it")
    endif()
  elseif(included MATCHES "[./]")
    set(allowed "${third_party_${folder}}")
    if(file MATCHES "^kernels/kokkos/")
      string(APPEND allowed "|${third_party_kernels_kokkos}")
    endif()
    if(NOT included MATCHES "^(${allowed})$")
      set(problem "${folder} may not use this library (tests/checks/layering.cmake lists what each folder may)")
    endif()
  endif()
  if(problem)
    message("${file}:${line_number}: #include ${included}: ${problem}")
    math(EXPR count "${problems} + 1")
    set(problems ${count} PARENT_SCOPE)
  endif()
endfunction()

file(REAL_PATH "${ROOT}" ROOT)
set(problems 0)
set(files 0)
foreach(folder IN LISTS layers)
  file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/${folder}/*.[ch]pp ${ROOT}/${folder}/*.cu ${ROOT}/${folder}/*.cuh)
  foreach(source IN LISTS sources)
    math(EXPR files "${files} + 1")
    file(READ ${ROOT}/${source} text)
    string(REGEX REPLACE "[][;\\]" "." text "${text}") # these have a meaning in CMake lists, and none here
    string(REPLACE "\n" ";" lines "${text}")
    set(number 0)
    foreach(line IN LISTS lines)
      math(EXPR number "${number} + 1")
      if(line MATCHES "include")
        check_include("${source}" ${number} "${line}")
      endif()
    endforeach()
  endforeach()
endforeach()

if(files EQUAL 0)
  message(FATAL_ERROR "no source files under ${ROOT}")
endif()
if(problems GREATER 0)
  message(FATAL_ERROR "${problems} includes break the layering")
endif()
message("${files} files keep the layering")
