#include "io/model_file/background_read.hpp"

#include "io/model_file/stopwatch.hpp"
#include "kernels/error.hpp"

namespace tesserank::io {

std::span<std::byte> StagingBuffer::first(std::size_t bytes) const {
    kernels::require(bytes <= bytes_, "more bytes than the buffer has");
    return {data_.get(), bytes};
}

void BackgroundRead::start(std::span<Block const> blocks, std::span<std::byte> memory) {
    running_ = std::async(when_ == When::now ? std::launch::async : std::launch::deferred,
                          [this, blocks, memory] {
                              return seconds_of([&] { read_checked(file_, blocks, memory); });
                          });
}

}  // namespace tesserank::io
