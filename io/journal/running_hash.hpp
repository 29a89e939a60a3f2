#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// XXH3-128 of all that was appended so far, which may go on.
/// Source: https://github.com/Cyan4973/xxHash
class RunningHash {
  public:
    RunningHash();
    ~RunningHash();
    RunningHash(RunningHash&&) noexcept;
    RunningHash& operator=(RunningHash&&) noexcept;

    void append(std::span<std::byte const> bytes);
    void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
    /// 32 hexadecimal digits.
    std::string digest() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Of the first `bytes` of a file. Errors: those of InputFile.
RunningHash hash_of_file(std::string const& path, std::size_t bytes);

}  // namespace tesserank::io
