#include "io/images/decode_room.hpp"

#include <utility>

namespace tesserank::io {

DecodeRoom::Share::Share(Share&& other) noexcept
    : room_{std::exchange(other.room_, nullptr)}, bytes_{other.bytes_} {}

DecodeRoom::Share& DecodeRoom::Share::operator=(Share&& other) noexcept {
    std::swap(room_, other.room_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

DecodeRoom::Share::~Share() {
    if (room_ != nullptr) room_->give_back(bytes_);
}

DecodeRoom::Share DecodeRoom::take(std::size_t bytes) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    freed_.wait(lock,
                [&] { return taken_ == 0 || (taken_ <= bytes_ && bytes <= bytes_ - taken_); });
    --waiting_;
    taken_ += bytes;
    return {*this, bytes};
}

std::size_t DecodeRoom::waiting() const {
    std::scoped_lock const lock(mutex_);
    return waiting_;
}

void DecodeRoom::give_back(std::size_t bytes) {
    {
        std::scoped_lock const lock(mutex_);
        taken_ -= bytes;
    }
    freed_.notify_all();
}

}  // namespace tesserank::io
