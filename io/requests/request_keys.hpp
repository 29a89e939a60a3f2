#pragma once

#include "io/requests/request_line.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// The keys of a request line.
enum class Key : std::uint8_t {
    id,
    custom_id,
    prompt,
    tokens,
    messages,
    images,
    completion,
    completion_tokens,
    method,
    url,
    body,
    max_new_tokens,
    temperature,
    top_k,
    top_p,
    min_p,
    repetition_penalty,
    seed,
    stop,
    stop_token_ids,
    ignore_eos,
    logprobs,
};

std::string_view name_of(Key key);
std::optional<Key> find_key(std::string_view name);
bool is_known_to(Key key, Task task);

/// Why `name` is refused: what belongs to the other command, or the nearest known key.
std::string explain_refused_key(std::string_view name, Task task);

}  // namespace tesserank::io::detail
