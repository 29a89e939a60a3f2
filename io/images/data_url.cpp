#include "io/images/data_url.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <string>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::string_view scheme = "data:";

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

void check_type(std::string_view type) {
    static constexpr auto known =
        std::to_array<std::string_view>({"image/jpeg", "image/jpg", "image/png", "image/webp"});
    if (std::ranges::find(known, lower_case(type)) != known.end()) return;
    throw InputError("a data URL of type " + quote_start(type) +
                     ", expected image/jpeg, image/png or image/webp");
}

/// OpenSSL's decoder forgives blanks at the ends and padding anywhere.
void check_base64(std::string_view text) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    auto digits = text;
    for (int padding = 0; padding < 2 && digits.ends_with('='); ++padding) digits.remove_suffix(1);
    if (auto const wrong = digits.find_first_not_of(alphabet); wrong != digits.npos) {
        throw InputError("a data URL whose data is not base64: byte " + std::to_string(wrong) +
                         " of it is " + quote_start(digits.substr(wrong, 1)));
    }
    if (text.empty() || text.size() % 4 != 0) {
        throw InputError("a data URL whose base64 data has " + std::to_string(text.size()) +
                         " characters, expected a multiple of 4: it is cut short or not padded");
    }
}

}  // namespace

bool is_data_url(std::string_view text) {
    return lower_case(text.substr(0, scheme.size())) == scheme;
}

std::vector<std::byte> decode_data_url(std::string_view url) {
    url.remove_prefix(scheme.size());
    auto const comma = url.find(',');
    auto const head = url.substr(0, comma);
    check_type(head.substr(0, head.find(';')));
    if (comma == url.npos || !lower_case(head).ends_with(";base64")) {
        throw InputError("a data URL that is not of the form data:TYPE;base64,DATA");
    }
    auto const text = url.substr(comma + 1);
    check_base64(text);
    std::vector<std::byte> bytes(text.size() / 4 * 3);
    int const size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<unsigned char const*>(text.data()),
                                     static_cast<int>(text.size()));
    kernels::require(size == static_cast<int>(bytes.size()), "OpenSSL refuses checked base64");
    bytes.resize(bytes.size() - static_cast<std::size_t>(std::ranges::count(text, '=')));
    return bytes;
}

}  // namespace tesserank::io
