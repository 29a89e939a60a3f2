#include "io/requests/request_line.hpp"

#include "io/json_reader.hpp"
#include "io/requests/chat_messages.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/openai_body.hpp"
#include "io/requests/request_fields.hpp"
#include "io/requests/request_keys.hpp"
#include "kernels/error.hpp"

#include <nlohmann/json.hpp>

#include <bitset>
#include <utility>

namespace tesserank::io {
namespace {

using detail::Complaint;
using detail::JsonScalar;
using detail::Key;
using nlohmann::json;

/// "[json.exception...] parse error at line 1, column 5: the rest": only the rest, which quotes the
/// line and so may be long.
std::string shorten(std::string_view text) {
    std::size_t constexpr longest = 160;
    if (auto const id = text.find("] "); id != text.npos) text.remove_prefix(id + 2);
    if (text.starts_with("parse error at line")) {
        if (auto const place = text.find(": "); place != text.npos) text.remove_prefix(place + 2);
    }
    std::string shortened;
    for (char const c : text.substr(0, longest)) {
        shortened += static_cast<unsigned char>(c) < 0x80 ? c : '?';
    }
    return shortened + (text.size() > longest ? "..." : "");
}

using Keys = std::bitset<32>;

template <class... K>
Keys keys(K... key) {
    Keys set;
    (set.set(static_cast<std::size_t>(key)), ...);
    return set;
}

/// The first key of a set in the order of their names; at least one is there.
std::string_view first_of(Keys const& set) {
    std::size_t key = 0;
    while (!set.test(key)) ++key;
    return detail::name_of(static_cast<Key>(key));
}

/// Receives the pieces of a line as the parser finds them: no tree is built, so that memory stays
/// within a few times the line whatever its bytes are. After the first complaint it goes on, only
/// to learn the id. What lies within "messages" and "body" is counted and left to later.
class LineHandler {
  public:
    explicit LineHandler(Task task) : task_(task) {}

    bool null() { return scalar(nullptr); }
    bool boolean(bool value) { return scalar(value); }
    bool number_integer(json::number_integer_t value) { return scalar(value); }
    bool number_unsigned(json::number_unsigned_t value) { return scalar(value); }
    bool number_float(json::number_float_t value, json::string_t const&) { return scalar(value); }
    bool string(json::string_t& value) { return scalar(std::move(value)); }
    bool binary(json::binary_t&) { return stop("found binary data"); }

    bool start_object(std::size_t) {
        if (levels_ == 1 && key_ == Key::body) return ++levels_ > 0;
        if (levels_ > 0) return start_nested(detail::ObjectValue{});
        levels_ = 1;
        return true;
    }
    bool start_array(std::size_t) {
        if (levels_ == 1 && key_ && detail::takes_list(*key_)) {
            detail::start_list(line_, *key_);
            return ++levels_ > 0;
        }
        if (levels_ == 1 && key_ == Key::messages) return ++levels_ > 0;
        return start_nested(detail::ListValue{});
    }
    bool end_object() { return --levels_ >= 0; }
    bool end_array() { return --levels_ >= 0; }

    bool key(json::string_t& name) {
        if (levels_ != 1) return true;
        key_ = detail::find_key(name);
        if (!key_ || !is_known_to(*key_, task_)) {
            complain(detail::explain_refused_key(name, task_));
            key_.reset();
        } else if (seen_.test(static_cast<std::size_t>(*key_))) {
            complain("the key \"" + name + "\" appears twice");
            key_.reset();
        } else {
            seen_.set(static_cast<std::size_t>(*key_));
        }
        return true;
    }

    bool parse_error(std::size_t position, std::string const&, json::exception const& error) {
        return stop("not valid JSON at byte " + std::to_string(position) + ": " +
                    shorten(error.what()));
    }

    /// `text` is the line that was parsed.
    std::variant<RequestLine, RequestError> result(std::string_view text) && {
        if (!complaint_) complaint_ = find_missing();
        if (!complaint_) complaint_ = read_tree(text);
        if (!complaint_) return std::move(line_);
        RequestError error{.id = {}, .line = 0, .message = std::move(*complaint_)};
        if (!line_.id.empty()) error.id = std::move(line_.id);
        return error;
    }

  private:
    bool scalar(JsonScalar value) {
        if (levels_ == 0) return stop("found a single value, expected an object {...}");
        ++values_;
        if (!key_ || (complaint_ && *key_ != Key::id && *key_ != Key::custom_id)) return true;
        if (levels_ == 1 && std::holds_alternative<std::nullptr_t>(value)) {
            seen_.reset(static_cast<std::size_t>(*key_));  // null counts as not given
        }
        if (levels_ == 1) complain(detail::set_field(line_, *key_, value));
        if (levels_ == 2 && detail::takes_list(*key_)) {
            complain(detail::add_element(line_, *key_, value));
        }
        return true;
    }

    bool start_nested(JsonScalar value) {
        int constexpr most_levels = 64;
        if (levels_ == 0) return stop("found a list, expected an object {...}");
        if (levels_ == most_levels) return stop("more than 64 levels of lists and objects");
        scalar(std::move(value));
        return ++levels_ > 0;
    }

    Complaint find_missing() const {
        if (has(Key::id) && has(Key::custom_id)) {
            return R"(both "id" and "custom_id" are given, expected one of them)";
        }
        if (line_.id.empty()) return "the key \"id\" is missing";
        if (auto complaint = check_batch_line()) return complaint;
        auto prompts = seen_ & keys(Key::prompt, Key::tokens, Key::messages, Key::body);
        if (prompts.none()) {
            return R"(there is no prompt: expected one of the keys "prompt", "tokens" and "messages")";
        }
        if (prompts.count() > 1) {
            std::string const first(first_of(prompts));
            prompts.reset(static_cast<std::size_t>(*detail::find_key(first)));
            return "both \"" + first + "\" and \"" + std::string(first_of(prompts)) +
                   "\" are given, expected one of them";
        }
        if (task_ == Task::generate) return {};
        if (has(Key::completion) && has(Key::completion_tokens)) {
            return "both \"completion\" and \"completion_tokens\" are given, expected one of them";
        }
        if (!line_.completion) {
            return "the keys \"completion\" and \"completion_tokens\" are missing: score needs "
                   "one of them";
        }
        return {};
    }

    /// An OpenAI batch line says everything in its body.
    Complaint check_batch_line() const {
        auto const envelope = keys(Key::id, Key::custom_id, Key::method, Key::url, Key::body);
        if (!has(Key::body)) {
            if (!has(Key::method) && !has(Key::url)) return {};
            return "the key \"body\" is missing, which a line with \"method\" or \"url\" has";
        }
        auto const beside = seen_ & ~envelope;
        if (beside.none()) return {};
        return "the key \"" + std::string(first_of(beside)) +
               "\" stands beside \"body\", expected it within";
    }

    /// What needs the line as a tree, now that the line is known to be small as one.
    Complaint read_tree(std::string_view text) {
        if (!has(Key::messages) && !has(Key::body)) return {};
        if (values_ > most_tree_values) {
            return "a line with messages has more than " + std::to_string(most_tree_values) +
                   " values";
        }
        try {
            JsonDocument const document(text, "the line");
            auto const member = [&](char const* name) {
                return JsonNode(document.root().at(name).value(), name);
            };
            if (has(Key::body)) {
                detail::set_body(line_, member("body"));
            } else {
                detail::set_messages(line_, member("messages"));
            }
        } catch (kernels::InputError const& error) {
            return error.what();
        }
        return {};
    }

    bool has(Key key) const { return seen_.test(static_cast<std::size_t>(key)); }
    void complain(Complaint complaint) {
        if (complaint && !complaint_) complaint_ = std::move(complaint);
    }
    bool stop(std::string complaint) {
        complain(std::move(complaint));
        return false;
    }

    /// A value takes about a hundred bytes in a tree, whatever it takes in the text.
    static constexpr std::size_t most_tree_values = std::size_t{1} << 16;

    Task task_;
    RequestLine line_;
    Complaint complaint_;
    std::optional<Key> key_;
    Keys seen_;
    int levels_ = 0;
    std::size_t values_ = 0;
};

}  // namespace

std::variant<RequestLine, RequestError> parse_request_line(std::string_view line, Task task) {
    // The parser would take a NUL for the end of the text and ignore what follows.
    if (auto const nul = line.find('\0'); nul != line.npos) {
        return RequestError{
            .id = {},
            .line = 0,
            .message = "not valid JSON at byte " + std::to_string(nul + 1) + ": found a NUL byte"};
    }
    LineHandler handler(task);
    json::sax_parse(line.begin(), line.end(), &handler);
    return std::move(handler).result(line);
}

}  // namespace tesserank::io
