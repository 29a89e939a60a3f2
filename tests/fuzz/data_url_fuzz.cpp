// Any text as a data URL: decoded to bytes that encode to the same text again, or refused by an
// InputError.

#include "io/images/data_url.hpp"
#include "kernels/error.hpp"

#include <openssl/evp.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (!tesserank::io::is_data_url(text)) return 0;
    try {
        auto const bytes = tesserank::io::decode_data_url(text);
        std::string again(4 * ((bytes.size() + 2) / 3) + 1, '\0');
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(again.data()),
                        reinterpret_cast<unsigned char const*>(bytes.data()),
                        static_cast<int>(bytes.size()));
        again.pop_back();
        auto given = text.substr(text.find(',') + 1);
        if (given.size() != again.size()) std::abort();
        // The last digit before padding may have bits that stand for nothing.
        auto const digits = given.find('=') == given.npos ? given.size() : given.find('=') - 1;
        if (given.substr(0, digits) != std::string_view(again).substr(0, digits)) std::abort();
    } catch (tesserank::kernels::InputError const&) {
        return 0;
    }
    return 0;
}
