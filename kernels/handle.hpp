#pragma once

#include <utility>

namespace tesserank::kernels {

/// The one owner of a C library's object. Traits gives its type, `Value`, whose null value stands
/// for none, and a noexcept close(Value).
template <class Traits>
class Handle {
  public:
    using Value = typename Traits::Value;

    Handle() = default;
    explicit Handle(Value value) noexcept : value_{value} {}
    ~Handle() { reset(); }
    Handle(Handle&& other) noexcept : value_{std::exchange(other.value_, Value{})} {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    Handle(Handle const&) = delete;
    Handle& operator=(Handle const&) = delete;

    Value get() const noexcept { return value_; }
    explicit operator bool() const noexcept { return value_ != Value{}; }
    void reset() noexcept {
        if (value_ != Value{}) Traits::close(std::exchange(value_, Value{}));
    }

  private:
    Value value_{};
};

}  // namespace tesserank::kernels
