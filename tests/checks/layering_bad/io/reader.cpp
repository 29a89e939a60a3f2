#include "app/options.hpp"
#include "model/bad.hpp"

#include <boost/program_options.hpp>
#include <hdf5.h>
#include <unheard_of/library.h>
