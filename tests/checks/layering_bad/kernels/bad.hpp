#pragma once
#include "model/placement.hpp"
#include "parallel/layout.hpp"

#include <Kokkos_Core.hpp>
#include <mpi.h>

#include <vector>
