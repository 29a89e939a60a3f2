#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// SHA-256 of bytes that arrive in pieces.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256 const&) = delete;
    Sha256& operator=(Sha256 const&) = delete;

    void append(std::span<std::byte const> bytes);
    /// 64 lower-case hexadecimal digits. Ends the use of this object.
    std::string finish();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

std::string sha256_of(std::string_view text);

}  // namespace tesserank::io
