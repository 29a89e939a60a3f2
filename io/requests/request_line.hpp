#pragma once

#include "io/chat/chat_format.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io {

/// What the lines of an input file ask for; it decides which keys a line may have.
enum class Task : std::uint8_t { generate, score };

/// Text to encode, or token ids as given.
using TextOrTokens = std::variant<std::string, std::vector<std::int32_t>>;
/// A prompt may be a conversation as well.
using PromptInput = std::variant<std::string, std::vector<std::int32_t>, std::vector<ChatMessage>>;

/// One line of input as it stands there: types and ranges checked, nothing checked that needs the
/// model. An OpenAI batch line is one too, with its custom_id as the id.
struct RequestLine {
    std::string id;
    PromptInput prompt;
    std::vector<std::string> images;         ///< paths and data URLs, in the order of their places
    std::optional<TextOrTokens> completion;  ///< score: always there; generate: never
    std::optional<std::size_t> max_new_tokens;
    std::optional<float> temperature;
    std::optional<std::size_t> top_k;
    std::optional<float> top_p;
    std::optional<float> min_p;
    std::optional<float> repetition_penalty;
    std::optional<std::uint64_t> seed;
    std::vector<std::string> stop;
    std::vector<std::int32_t> stop_token_ids;
    bool ignore_eos = false;
    std::optional<std::size_t> logprobs;  ///< false: nullopt; true: 0; n: of the n best too
};

/// Why a line cannot be answered; the other lines are not affected.
struct RequestError {
    std::optional<std::string> id;  ///< if the line got that far
    std::size_t line = 0;           ///< from 1; 0: not known
    std::string message;            ///< valid UTF-8
};

std::size_t constexpr longest_request_line = std::size_t{64} << 20;  ///< bytes
std::size_t constexpr longest_id = 512;                              ///< bytes

/// Parses one line from outside: any bytes. A key that the task does not know is an error, because
/// a request that silently ignores a wish is worse than one that fails. The message names the key,
/// what was found and what was expected, not the line number.
std::variant<RequestLine, RequestError> parse_request_line(std::string_view line, Task task);

}  // namespace tesserank::io
