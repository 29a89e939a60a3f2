// Writes what a model would see of a picture: a line "COLUMNS ROWS TILES SIDE", then the tiles'
// bytes [tiles, side, side, 3] and their pixel values [tiles, 3, side, side] f32. For
// pictures_test.py.
//
//     dump_tiles PICTURE SIDE MOST_TILES

#include "io/images/decode.hpp"
#include "io/images/tiling.hpp"
#include "io/input_file.hpp"
#include "kernels/error.hpp"
#include "model/vision/pixels.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 4) return 1;
    try {
        tesserank::io::InputFile const file(argv[1]);
        std::vector<std::byte> bytes(file.bytes());
        file.read(0, bytes);
        tesserank::io::TilingOptions options;
        options.tile = std::strtoul(argv[2], nullptr, 10);
        options.most_tiles = std::strtoul(argv[3], nullptr, 10);
        auto const picture = tesserank::io::decode_picture(bytes);
        auto const grid = tesserank::io::choose_grid(picture.width, picture.height, options);
        auto const tiles = tesserank::io::cut_tiles(picture, options);
        std::printf("%zu %zu %zu %zu\n", grid.columns, grid.rows, tiles.size(), options.tile);
        for (auto const& tile : tiles) std::fwrite(tile.rgb.data(), 1, tile.rgb.size(), stdout);
        std::vector<float> planes(3 * options.tile * options.tile);
        for (auto const& tile : tiles) {
            tesserank::model::scale_pixels(tile.rgb, {}, planes);
            std::fwrite(planes.data(), sizeof(float), planes.size(), stdout);
        }
    } catch (tesserank::kernels::InputError const& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
