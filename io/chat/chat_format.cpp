#include "io/chat/chat_format.hpp"

#include "kernels/error.hpp"

#include <cstddef>

namespace tesserank::io {
namespace {

using Role = ChatMessage::Role;
using Trim = ChatFormat::Trim;

[[noreturn]] void fail(std::size_t index, std::string const& text) {
    throw kernels::InputError("messages[" + std::to_string(index) + "]: " + text);
}

void check_order(ChatFormat const& format, std::span<ChatMessage const> messages) {
    std::size_t const first = !messages.empty() && messages.front().role == Role::system ? 1 : 0;
    if (messages.size() == first) {
        throw kernels::InputError("messages: found no message of the user, expected one");
    }
    bool const alternate = format.system_place == ChatFormat::SystemPlace::first_user_turn;
    for (std::size_t i = first; i < messages.size(); ++i) {
        if (messages[i].role == Role::system) {
            fail(i, "found a system message, expected it to be the first one");
        }
        bool const users_turn = (i - first) % 2 == 0;
        if (alternate && (messages[i].role == Role::user) != users_turn) {
            fail(i,
                 "found the role out of turn, expected user and assistant to alternate, as this "
                 "model's chat template wants");
        }
    }
}

PicturedText trimmed(PicturedText text, bool trim) {
    if (trim) text.trim();
    return text;
}

void add_turn(PicturedText& out, ChatFormat::Turn const& turn, PicturedText const& content) {
    out.add(turn.before);
    out.add(content);
    out.add(turn.after);
}

}  // namespace

PicturedText render(ChatFormat const& format, std::span<ChatMessage const> messages) {
    check_order(format, messages);
    std::optional<PicturedText> system;
    if (format.default_system) system.emplace(*format.default_system);
    if (messages.front().role == Role::system) {
        system = trimmed(messages.front().content, format.trim == Trim::contents);
        messages = messages.subspan(1);
    }

    PicturedText out(format.start);
    if (system && format.system_place == ChatFormat::SystemPlace::own_turn) {
        add_turn(out, format.system, *system);
        system.reset();
    }
    for (auto const& message : messages) {
        PicturedText content;
        if (system) add_turn(content, format.system, *system);
        system.reset();
        content.add(trimmed(message.content, format.trim == Trim::contents));
        content = trimmed(std::move(content), format.trim == Trim::turns);
        add_turn(out, message.role == Role::user ? format.user : format.assistant, content);
    }
    out.add(format.answer);
    return out;
}

}  // namespace tesserank::io
