#pragma once
// #include "app/not_an_include.hpp"
#include "bad_neighbour.hpp"
#include "io/model_file.hpp"
#include "kernels/bad.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>
