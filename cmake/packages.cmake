# Every package that tesserank needs, found in one place. Names of Debian packages: cmake/apt-packages.txt.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# Open MPI's removed C++ bindings must not be linked.
set(MPI_CXX_SKIP_MPICXX TRUE)
find_package(MPI REQUIRED COMPONENTS CXX)

set(HDF5_PREFER_PARALLEL TRUE)
find_package(HDF5 1.10 REQUIRED COMPONENTS C)

find_package(OpenSSL 1.1 REQUIRED COMPONENTS Crypto)
find_package(Boost 1.74 REQUIRED COMPONENTS program_options)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(dnnl 2.6 CONFIG REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(IMAGES REQUIRED IMPORTED_TARGET libturbojpeg spng libwebp libwebpdemux libexif)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)
add_library(Random123::Random123 INTERFACE IMPORTED)
set_target_properties(Random123::Random123 PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
                                                      "${RANDOM123_INCLUDE_DIR}")

# Any Kokkos from 3.4 on: -DKokkos_ROOT=... picks one. Debian's 3.4 (from Trilinos) exports a target that names a
# folder which does not exist, so its variables are used instead.
find_package(Kokkos CONFIG REQUIRED)
if(Kokkos_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "Kokkos ${Kokkos_VERSION} is too old: 3.4 or newer is needed (-DKokkos_ROOT=...)")
endif()
add_library(tesserank_kokkos_dependency INTERFACE)
if(Kokkos_VERSION VERSION_GREATER_EQUAL 3.7)
  target_link_libraries(tesserank_kokkos_dependency INTERFACE Kokkos::kokkos)
else()
  target_link_libraries(tesserank_kokkos_dependency INTERFACE ${Kokkos_LIBRARIES})
  target_include_directories(tesserank_kokkos_dependency SYSTEM INTERFACE ${Kokkos_INCLUDE_DIRS})
endif()

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  find_package(Boost 1.74 REQUIRED COMPONENTS context)
  pkg_check_modules(IMAGE_WRITING REQUIRED IMPORTED_TARGET libwebpmux)
endif()
