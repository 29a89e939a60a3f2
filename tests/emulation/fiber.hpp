#pragma once

#include <boost/context/fiber.hpp>

#include <cstddef>
#include <functional>

namespace tesserank::emulation {

/// A function that can be left in the middle and entered again where it was left. One thread of the
/// process runs fibers at a time, and they do not start each other.
class Fiber {
  public:
    Fiber() = default;
    explicit Fiber(std::function<void()> body);
    Fiber(Fiber&&) = default;
    Fiber& operator=(Fiber&&) = default;
    /// Unwinds the stack of a body that has not ended.
    ~Fiber();

    /// Goes into the body until it calls leave() or ends.
    void enter();
    /// Called in the body: back to the caller of enter().
    static void leave();

  private:
    boost::context::fiber context_;
    void const* stack_bottom_ = nullptr;
    std::size_t stack_bytes_ = 0;
};

}  // namespace tesserank::emulation
