# cmake -P layering_finds_planted.cmake
#
# Runs layering.cmake over layering_bad/, a tree with planted mistakes, and compares what it reports with the list of them.

execute_process(
  COMMAND ${CMAKE_COMMAND} -D ROOT=${CMAKE_CURRENT_LIST_DIR}/layering_bad -P ${CMAKE_CURRENT_LIST_DIR}/layering.cmake
  RESULT_VARIABLE status ERROR_VARIABLE report OUTPUT_VARIABLE report)
string(REGEX MATCHALL "[a-z/]+\\.[ch]pp:[0-9]+: #include [^:\n]+" found "${report}")

set(planted
    "kernels/bad.hpp:2: #include model/placement.hpp"
    "kernels/bad.hpp:3: #include parallel/layout.hpp"
    "kernels/bad.hpp:5: #include Kokkos_Core.hpp"
    "kernels/bad.hpp:6: #include mpi.h"
    "parallel/bad.hpp:2: #include ../kernels/bad.hpp"
    "parallel/bad.hpp:3: #include io/model_file.hpp"
    "model/bad.hpp:3: #include bad_neighbour.hpp"
    "model/bad.hpp:4: #include io/model_file.hpp"
    "model/bad.hpp:7: #include nlohmann/json.hpp"
    "model/bad.hpp:8: #include unistd.h"
    "io/reader.cpp:1: #include app/options.hpp"
    "io/reader.cpp:4: #include boost/program_options.hpp"
    "io/reader.cpp:6: #include unheard_of/library.h"
    "app/main.cpp:4: #include hdf5.h"
    "app/main.cpp:5: #include mpi.h")

if(status EQUAL 0 OR NOT found STREQUAL planted)
  message(FATAL_ERROR "exit status ${status}, expected another; report:\n${report}\nplanted:\n${planted}")
endif()
list(LENGTH found count)
message("all ${count} planted mistakes were found, and nothing else")
