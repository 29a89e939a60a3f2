#include "io/tokenizer/decoder_stages.hpp"

#include "io/tokenizer/byte_level.hpp"

#include <charconv>
#include <optional>

namespace tesserank::io::detail {
namespace {

/// The byte of a token such as "<0x0A>"; nullopt for any other token.
std::optional<char> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) {
        return std::nullopt;
    }
    auto digits = token.substr(3, 2);
    if (digits.starts_with('+')) digits.remove_prefix(1);  // as Rust's from_str_radix has it
    unsigned value = 0;
    auto const* const end = digits.data() + digits.size();
    auto const result = std::from_chars(digits.data(), end, value, 16);
    if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
    return static_cast<char>(value);
}

}  // namespace

void ByteLevelStage::whole_token(std::string const& token) {
    std::string text;
    bytes_.append(bytes_of_token(token), text);
    next().text(text);
}

void ByteLevelStage::finish() {
    std::string text;
    bytes_.finish(text);
    next().text(text);
    next().end_of_token();
    next().finish();
}

void ByteFallbackStage::whole_token(std::string const& token) {
    if (auto const byte = byte_of(token)) {
        bytes_.push_back(*byte);
        return;
    }
    flush();
    next().text(token);
    next().end_of_token();
}

void ByteFallbackStage::flush() {
    if (bytes_.empty()) return;
    if (find_invalid_utf8(bytes_) == std::string::npos) {
        next().text(bytes_);
        next().end_of_token();
    } else {
        for (std::size_t i = 0; i < bytes_.size(); ++i) {
            next().text(replacement_character);
            next().end_of_token();
        }
    }
    bytes_.clear();
}

void ByteFallbackStage::finish() {
    flush();
    next().finish();
}

void FuseStage::finish() {
    next().end_of_token();
    next().finish();
}

void ReplaceStage::whole_token(std::string const& token) {
    matches_.clear();
    if (!token.empty()) pattern_.find_all(token, scratch_, matches_);
    auto const text = Pattern::replaced(token, matches_, content_, most_bytes_from(bytes_in_));
    bytes_out_ += text.size();
    check_growth(bytes_out_, most_bytes_from(bytes_in_));
    next().text(text);
    next().end_of_token();
}

void StripStage::text(std::string_view part) {
    while (!start_done_ && !part.empty()) {
        start_done_ = cut_ == start_ || !part.starts_with(character_);
        if (start_done_) break;
        part.remove_prefix(character_.size());
        ++cut_;
    }
    if (stop_ == 0) return next().text(part);
    for (; !part.empty(); part.remove_prefix(character_size(part[0]))) {
        auto const character = part.substr(0, character_size(part[0]));
        if (character == character_) {
            if (held_back_ < stop_) {
                ++held_back_;
            } else {
                next().text(character);
            }
            continue;
        }
        for (; held_back_ > 0; --held_back_) next().text(character_);
        next().text(character);
    }
}

void StripStage::end_of_token() {
    cut_ = held_back_ = 0;
    start_done_ = false;
    next().end_of_token();
}

void MetaspaceStage::text(std::string_view part) {
    while (!part.empty()) {
        auto const begin = part.find(replacement_);
        next().text(part.substr(0, begin));
        if (begin == std::string_view::npos) return;
        if (!drop_) next().text(" ");
        part.remove_prefix(begin + replacement_.size());
    }
}

void MetaspaceStage::end_of_token() {
    drop_ = false;
    next().end_of_token();
}

void JoinStage::whole_token(std::string const& token) {
    if (!first_) next().text(" ");
    first_ = false;
    next().text(token);
    next().end_of_token();
}

}  // namespace tesserank::io::detail
