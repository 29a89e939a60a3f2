#pragma once

#include "io/chat/pictured_text.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace tesserank::io {

struct ChatMessage {
    enum class Role : std::uint8_t { system, user, assistant };
    Role role = Role::user;
    PicturedText content;
};

/// How a model wants a conversation written: the few things in which the usual templates differ.
struct ChatFormat {
    /// What stands around the content of a turn.
    struct Turn {
        std::string before, after;
    };
    enum class SystemPlace : std::uint8_t {
        own_turn,
        first_user_turn,  ///< in front of the content; then user and assistant alternate
    };
    /// Whose white space at both ends is left out.
    enum class Trim : std::uint8_t { nothing, contents, turns };

    std::string start;  ///< before everything
    Turn system, user, assistant;
    std::string answer;                         ///< at the end, so that an answer follows
    std::optional<std::string> default_system;  ///< where a conversation has no system message
    SystemPlace system_place = SystemPlace::own_turn;
    Trim trim = Trim::nothing;
    /// Whether the tokenizer puts its special tokens around the whole, as around other texts.
    bool add_special_tokens = false;
    std::string turn_end;  ///< the token that ends an answer
};

/// The conversation as text, ready for the assistant's next turn. Errors: InputError naming a
/// message that is out of order: only the first may be the system's.
PicturedText render(ChatFormat const& format, std::span<ChatMessage const> messages);

}  // namespace tesserank::io
