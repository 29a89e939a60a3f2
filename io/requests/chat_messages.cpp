#include "io/requests/chat_messages.hpp"

#include "io/requests/json_text.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace tesserank::io::detail {
namespace {

using Role = ChatMessage::Role;

/// Where the picture of a part is; nullopt: the next of the line's images.
using Source = std::optional<std::string>;

Role role_of(JsonNode const& message) {
    auto const role = message.at("role");
    auto const& word = role.string();
    if (word == "system" || word == "developer") return Role::system;
    if (word == "user") return Role::user;
    if (word == "assistant") return Role::assistant;
    role.fail_expected("system, user or assistant");
}

Source source_in(JsonNode const& part) {
    Source source;
    for (auto const* const key : {"image", "url", "path"}) {
        auto const member = part.find(key);
        if (!member) continue;
        if (source) part.fail("has more than one of the keys image, url and path");
        source = member->string();
    }
    return source;
}

Source source_of_image_url(JsonNode const& part) {
    auto const member = part.at("image_url");
    if (member.is_string()) return member.string();
    member.allow_only({"url", "detail"});
    if (auto const detail = member.find("detail");
        detail && detail->string() != "auto" && detail->string() != "high") {
        detail->fail_expected("auto or high; --max-tiles bounds the tiles of every picture");
    }
    return member.at("url").string();
}

void add_part(PicturedText& content, std::vector<Source>& sources, JsonNode const& part) {
    auto const type = part.at("type");
    auto const add_picture = [&](Source source) {
        if (source && source->empty()) part.fail("found an empty path, expected a picture");
        sources.push_back(std::move(source));
        content.add_picture();
        content.add("\n");
    };
    if (type.string() == "text") {
        part.allow_only({"type", "text"});
        content.add(part.at("text").string());
    } else if (type.string() == "image_url") {
        part.allow_only({"type", "image_url"});
        add_picture(source_of_image_url(part));
    } else if (type.string() == "image") {
        part.allow_only({"type", "image", "url", "path"});
        add_picture(source_in(part));
    } else {
        type.fail_expected("text, image_url or image");
    }
}

ChatMessage read_message(JsonNode const& message, std::vector<Source>& sources) {
    for (auto const& [key, value] : message.members()) {
        bool const known = key == "role" || key == "content" || key == "name";
        if (!known && !value.is_null()) {
            message.fail("the key " + quote_start(key) +
                         " is not supported here (supported: role, content, name)");
        }
    }
    ChatMessage result{.role = role_of(message), .content = {}};
    auto const content = message.at("content");
    if (content.is_string()) {
        result.content.add(content.string());
        return result;
    }
    if (!content.is_array()) content.fail_expected("a string or a list of parts");
    for (auto const& part : content.elements()) add_part(result.content, sources, part);
    return result;
}

/// For messages without parts that are pictures.
void place_images(std::vector<ChatMessage>& messages, std::size_t images, JsonNode const& where) {
    std::vector<PicturedText> split;
    split.reserve(messages.size());
    for (auto const& message : messages) split.push_back(split_at_marks(message.content));
    std::size_t const marks = std::accumulate(
        split.begin(), split.end(), std::size_t{0},
        [](std::size_t sum, PicturedText const& text) { return sum + text.pictures(); });
    if (marks == images) {
        for (std::size_t i = 0; i < messages.size(); ++i) messages[i].content = std::move(split[i]);
        return;
    }
    auto const first = std::ranges::find(messages, Role::user, &ChatMessage::role);
    if (marks > 0 || first == messages.end()) {
        where.fail("found " + std::to_string(marks) + " marks " + std::string(picture_mark) +
                   ", expected one for each of " + std::to_string(images) + " images, or none");
    }
    first->content = put_in_front(images, first->content);
}

void take_sources(RequestLine& line, std::vector<Source>&& sources, JsonNode const& where) {
    auto const own = static_cast<std::size_t>(
        std::ranges::count_if(sources, [](Source const& source) { return source.has_value(); }));
    if (own == sources.size() && line.images.empty()) {
        for (auto& source : sources) line.images.push_back(std::move(*source));
    } else if (own > 0) {
        where.fail(
            "pictures stand in the messages and apart from them (\"images\" or parts "
            "without a source), expected one of both");
    } else if (sources.size() != line.images.size()) {
        where.fail("found " + std::to_string(sources.size()) +
                   " parts that are pictures, expected one for each of " +
                   std::to_string(line.images.size()) + " images");
    }
}

}  // namespace

void set_messages(RequestLine& line, JsonNode const& list) {
    if (!list.is_array()) list.fail_expected("a list of messages");
    std::vector<ChatMessage> messages;
    std::vector<Source> sources;
    for (auto const& message : list.elements()) {
        messages.push_back(read_message(message, sources));
    }
    if (messages.empty()) list.fail("is empty, expected at least one message");
    if (!sources.empty()) {
        take_sources(line, std::move(sources), list);
    } else if (!line.images.empty()) {
        place_images(messages, line.images.size(), list);
    }
    line.prompt = std::move(messages);
}

}  // namespace tesserank::io::detail
