#include "io/journal/running_hash.hpp"

#include "io/hex.hpp"
#include "io/input_file.hpp"

#include <xxhash.h>

#include <algorithm>
#include <new>
#include <vector>

namespace tesserank::io {

struct RunningHash::State {
    XXH3_state_t* xxh = XXH3_createState();
    State() {
        if (xxh == nullptr) throw std::bad_alloc();
        XXH3_128bits_reset(xxh);
    }
    State(State const&) = delete;
    State& operator=(State const&) = delete;
    ~State() { XXH3_freeState(xxh); }
};

RunningHash::RunningHash() : state_{std::make_unique<State>()} {}
RunningHash::~RunningHash() = default;
RunningHash::RunningHash(RunningHash&&) noexcept = default;
RunningHash& RunningHash::operator=(RunningHash&&) noexcept = default;

void RunningHash::append(std::span<std::byte const> bytes) {
    XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string RunningHash::digest() const {
    XXH128_canonical_t canonical{};
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh));
    return hex_text(std::as_bytes(std::span(canonical.digest)));
}

RunningHash hash_of_file(std::string const& path, std::size_t bytes) {
    constexpr std::size_t most = std::size_t{4} << 20;
    InputFile const file(path);
    RunningHash hash;
    std::vector<std::byte> buffer(std::min(bytes, most));
    for (std::size_t done = 0; done < bytes;) {
        auto const piece = std::span(buffer).first(std::min(buffer.size(), bytes - done));
        file.read(done, piece);
        hash.append(piece);
        done += piece.size();
    }
    return hash;
}

}  // namespace tesserank::io
