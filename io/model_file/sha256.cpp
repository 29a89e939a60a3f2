#include "io/model_file/sha256.hpp"

#include "io/hex.hpp"
#include "kernels/error.hpp"

#include <openssl/evp.h>

#include <array>

namespace tesserank::io {
namespace {

void check(int result, char const* call) {
    if (result != 1) throw kernels::SystemError(std::string(call) + " failed");
}

}  // namespace

struct Sha256::Context {
    Context() : digest{EVP_MD_CTX_new()} {
        if (digest == nullptr) throw std::bad_alloc();
    }
    ~Context() { EVP_MD_CTX_free(digest); }
    Context(Context const&) = delete;
    Context& operator=(Context const&) = delete;
    EVP_MD_CTX* digest;
};

Sha256::Sha256() : context_{std::make_unique<Context>()} {
    check(EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr), "EVP_DigestInit_ex");
}
Sha256::~Sha256() = default;

void Sha256::append(std::span<std::byte const> bytes) {
    check(EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size()), "EVP_DigestUpdate");
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    check(EVP_DigestFinal_ex(context_->digest, digest.data(), &length), "EVP_DigestFinal_ex");
    return hex_text(std::as_bytes(std::span(digest)).first(length));
}

std::string sha256_of(std::string_view text) {
    Sha256 hash;
    hash.append(std::as_bytes(std::span(text)));
    return hash.finish();
}

}  // namespace tesserank::io
