#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::model {

/// A table of positions for a grid of another size: table [1 + from*from, columns], a row for the
/// class token and then those of a grid of patches -> [1 + to*to, columns]. The class token's row
/// stays; the grid is interpolated bicubically between the centres of its cells, its border
/// repeated.  Source: torch.nn.functional.interpolate, mode "bicubic", align_corners and antialias
/// false (A = -0.75); Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711
std::vector<float> resize_positions(std::span<float const> table, std::size_t columns,
                                    std::size_t from, std::size_t to);

}  // namespace tesserank::model
