#include "kernels/bad.hpp"

#include <Kokkos_Core.hpp>
#include <sys/mman.h>
