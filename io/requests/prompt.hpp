#pragma once

#include "io/chat/chat_format.hpp"
#include "io/images/load_tiles.hpp"
#include "io/requests/request_line.hpp"
#include "model/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io {

class Tokenizer;

/// What the model and the command line say about every request.
struct RequestLimits {
    std::size_t vocabulary = 0;
    std::size_t max_length = 0;                      ///< prompt and new tokens together
    std::string_view max_length_of = "the context";  ///< what sets it, for messages
    std::size_t default_max_new_tokens = 0;          ///< 0: as many as fit
    /// For what a line leaves open; see generation_defaults.hpp.
    model::SamplingOptions sampling;
};

/// How a model takes pictures.
struct PicturePrompts {
    PictureOptions options;
    std::size_t features_per_tile = 0;
    /// The token in whose place features stand; nullopt: not known, so no picture can be placed.
    std::optional<std::int32_t> placeholder;
};

/// What prompts are made with, besides the limits.
struct PromptTools {
    Tokenizer const* tokenizer = nullptr;  ///< borrowed; null where the model has none
    /// What cannot be had is said by a text that ends in no full stop.
    std::variant<ChatFormat, std::string> chat = "the model file has no chat template";
    std::variant<PicturePrompts, std::string> pictures = "the model takes no pictures";
};

struct Prompt {
    std::vector<std::int32_t> tokens;
    model::PromptPictures pictures;
    std::optional<std::int32_t> turn_end;  ///< of a conversation: the token that ends an answer
};

/// The tokens of a line's prompt, with the pictures decoded and cut into tiles. Tokens that are
/// given have the placeholders in them already. In a text each picture becomes <img>, as many
/// placeholders as it has features, and </img>: at the marks <image>, or in front, a line for each,
/// where there is no mark. May be called by several threads at once. Errors: InputError naming the
/// field or the picture, what was found and what was expected; the length is checked as far as
/// pictures alone exceed it.
Prompt make_prompt(PromptInput&& input, std::vector<std::string> const& images,
                   RequestLimits const& limits, PromptTools const& tools);

/// The tokens of a completion, encoded on its own.
std::vector<std::int32_t> make_completion(TextOrTokens&& input, RequestLimits const& limits,
                                          Tokenizer const* tokenizer);

/// "the context's 256".
std::string describe_length(RequestLimits const& limits);

}  // namespace tesserank::io
