#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace tesserank::io {

/// The memory that threads may take together while they decode pictures, beside the tiles that are
/// left of them. Who wants more than all of it waits until nobody else has any.
class DecodeRoom {
  public:
    explicit DecodeRoom(std::size_t bytes) : bytes_{bytes} {}

    /// A part of the room, until it is destroyed.
    class Share {
      public:
        Share() = default;
        Share(DecodeRoom& room, std::size_t bytes) : room_{&room}, bytes_{bytes} {}
        Share(Share&& other) noexcept;
        Share& operator=(Share&& other) noexcept;
        ~Share();

      private:
        DecodeRoom* room_ = nullptr;
        std::size_t bytes_ = 0;
    };

    /// Waits until so many bytes are free. For a thread that has no share yet.
    Share take(std::size_t bytes);
    /// How many threads do; for tests, which wait until one does.
    std::size_t waiting() const;

  private:
    void give_back(std::size_t bytes);

    std::size_t bytes_, taken_ = 0, waiting_ = 0;
    std::mutex mutable mutex_;
    std::condition_variable freed_;
};

}  // namespace tesserank::io
