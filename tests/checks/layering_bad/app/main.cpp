#include "io/model_file.hpp"

#include <boost/program_options.hpp>
#include <hdf5.h>
#include <mpi.h>
