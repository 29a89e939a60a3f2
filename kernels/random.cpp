#include "kernels/random.hpp"

#include "kernels/philox.hpp"

namespace tesserank::kernels {

double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint32_t sample,
                    std::uint32_t position) {
    return philox_draw(seed, stream, sample, position);
}

std::uint64_t stream_of(std::string_view id) {
    std::uint64_t hash = 0xCBF29CE484222325U;
    for (char const byte : id) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3U;
    return hash;
}

}  // namespace tesserank::kernels
