#include "io/requests/encode_text.hpp"

#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::io {

std::string describe_length(RequestLimits const& limits) {
    return std::string(limits.max_length_of) + "'s " + std::to_string(limits.max_length);
}

namespace detail {
namespace {

using kernels::InputError;

[[noreturn]] void fail_empty(std::string_view name) {
    throw InputError(std::string(name) + ": is empty, expected at least one token");
}

constexpr std::size_t always_read = std::size_t{1} << 20;  // quick, and it may be mostly blanks

/// Refuses what is too long for the context whatever its tokens are: tokenising takes seconds and
/// hundreds of megabytes by then.
void check_bytes(std::string const& text, FieldNames names, RequestLimits const& limits,
                 Tokenizer const& tokenizer) {
    constexpr std::size_t most_shrinking = 4;  // by a normalizer
    auto const most =
        std::max(always_read, most_shrinking * tokenizer.longest_token_bytes() * limits.max_length);
    if (text.size() <= most) return;
    throw InputError(std::string(names.text) + ": has " + std::to_string(text.size()) +
                     " bytes, expected at most " + std::to_string(most) + " for " +
                     describe_length(limits) + " tokens");
}

/// Refuses a long text when a small part at its start has twice the tokens that fit: what follows
/// can change the last few of them, and never halve them.
void check_start(std::string_view text, FieldNames names, RequestLimits const& limits,
                 Tokenizer const& tokenizer) {
    constexpr std::size_t bytes_per_token = 8;  // of ordinary text: 3 to 5
    auto const most_tokens = 2 * limits.max_length;
    auto bytes = bytes_per_token * most_tokens;
    if (text.size() <= std::max(always_read, 2 * bytes)) return;
    while (is_continuation(text[bytes])) --bytes;
    auto const tokens = tokenizer.encode(text.substr(0, bytes), Tokenizer::SpecialTokens::omit);
    if (tokens.size() <= most_tokens) return;
    throw InputError(std::string(names.text) + ": its first " + std::to_string(bytes) + " of " +
                     std::to_string(text.size()) + " bytes have " + std::to_string(tokens.size()) +
                     " tokens, expected fewer than " + describe_length(limits));
}

}  // namespace

void check_tokens(std::vector<std::int32_t> const& tokens, std::size_t vocabulary,
                  std::string_view name) {
    auto const bad = std::ranges::find_if(
        tokens, [&](std::int32_t token) { return static_cast<std::size_t>(token) >= vocabulary; });
    if (bad == tokens.end()) return;
    throw InputError(std::string(name) + "[" + std::to_string(bad - tokens.begin()) + "]: found " +
                     std::to_string(*bad) + ", expected a token id below " +
                     std::to_string(vocabulary));
}

std::vector<std::int32_t> encode_text(std::string const& text, FieldNames names,
                                      Tokenizer::SpecialTokens special, RequestLimits const& limits,
                                      Tokenizer const* tokenizer) {
    if (text.empty()) fail_empty(names.text);
    if (tokenizer == nullptr) {
        throw InputError(std::string(names.text) +
                         ": the model file has no tokenizer; give token ids as \"" +
                         std::string(names.tokens) + "\"");
    }
    check_bytes(text, names, limits, *tokenizer);
    check_start(text, names, limits, *tokenizer);
    auto tokens = tokenizer->encode(text, special);
    // A normalizer may leave nothing of a text of blanks.
    if (tokens.empty()) fail_empty(names.text);
    return tokens;
}

}  // namespace detail
}  // namespace tesserank::io
