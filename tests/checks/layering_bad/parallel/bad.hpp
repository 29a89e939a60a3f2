#pragma once
#include "../kernels/bad.hpp"
#include "io/model_file.hpp"

#include <mpi.h>
