#include "io/tokenizer/regex_syntax.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

namespace tesserank::io::detail {
namespace {

constexpr std::string_view space_members = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view word_members_in_class = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
/// Outside of a class Oniguruma takes the powers and fractions of Latin-1 for word characters, too.
constexpr std::string_view word_members =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

class Translator {
  public:
    explicit Translator(std::string_view pattern) : in_(pattern) {}

    std::string run() {
        while (!done()) {
            switch (peek()) {
                case '\\':
                    escape();
                    break;
                case '[':
                    character_class();
                    break;
                case '(':
                    group();
                    break;
                case '{':
                    interval();
                    break;
                default:
                    out_ += take();
            }
        }
        return std::move(out_);
    }

  private:
    bool done() const { return at_ == in_.size(); }
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
    }
    char take() {
        if (done()) refuse("its end within an escape, class or group");
        return in_[at_++];
    }
    bool take_if(std::string_view text) {
        if (!in_.substr(at_).starts_with(text)) return false;
        at_ += text.size();
        return true;
    }

    [[noreturn]] void refuse(std::string_view what) const {
        throw kernels::InputError("the regular expression " + quote_name(in_) +
                                  " has, before byte " + std::to_string(at_) + ", " +
                                  std::string(what) + ", which is not supported");
    }

    void escape() {
        take();
        auto const c = take();
        if (shared_escape(c)) return;
        auto const members = [this](std::string_view open, std::string_view set) {
            out_.append(open).append(set).append("]");
        };
        auto const word = "[" + std::string(word_members) + "]";
        auto const starts = "(?<!" + word + ")(?=" + word + ")";
        auto const ends = "(?<=" + word + ")(?!" + word + ")";
        auto const same = "(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + ")";
        switch (c) {
            case 's':
                return members("[", space_members);
            case 'S':
                return members("[^", space_members);
            case 'w':
                return members("[", word_members);
            case 'W':
                return members("[^", word_members);
            case 'b':
                out_ += "(?:" + starts + "|" + ends + ")";
                return;
            case 'B':
                out_ += "(?:" + same + ")";
                return;
            case 'A':
            case 'z':
            case 'Z':
                out_ += std::string("\\") + c;
                return;
            default:
                refuse(std::string("the escape \\") + c);
        }
    }

    /// The escapes that mean the same inside and outside of a class. False if `c` is none of them.
    bool shared_escape(char c) {
        if (c == 'p' || c == 'P') {
            property(c);
        } else if (c == 'x' || c == 'u') {
            code_point(c);
        } else if (c == 'v') {
            out_ += "\\x{B}";
        } else if (std::string_view("dDtnrfae").find(c) != std::string_view::npos) {
            out_ += std::string("\\") + c;
        } else if (!is_letter(c) && !is_digit(c)) {
            if (static_cast<unsigned char>(c) < 0x80) out_ += '\\';
            out_ += c;
        } else {
            return false;
        }
        return true;
    }

    /// \p{Name}, \p{^Name}, \pL.
    void property(char sign) {
        if (peek() != '{') refuse("a \\p without braces");
        auto const end = in_.find('}', at_);
        if (end == std::string_view::npos) refuse("a \\p{ without its end");
        auto name = in_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        auto const inverted = name.starts_with('^');
        if (inverted) name.remove_prefix(1);
        if (name.empty() || !std::all_of(name.begin(), name.end(),
                                         [](char c) { return is_letter(c) || c == '_'; })) {
            refuse("an odd name in \\p{}");
        }
        constexpr auto categories = std::string_view("CLMNPSZ");
        auto const category =
            name.size() <= 2 && categories.find(name[0]) != std::string_view::npos;
        auto const binary = is_one_of(name, {"Alphabetic", "Uppercase", "Lowercase", "White_Space",
                                             "Emoji", "Ideographic", "Any"});
        out_ += inverted == (sign == 'P') ? "\\p{" : "\\P{";
        out_ += (category || binary ? "" : "sc:") + std::string(name) + "}";
    }

    /// \xHH, \x{H...}, \uHHHH.
    void code_point(char kind) {
        std::string digits;
        if (kind == 'x' && take_if("{")) {
            while (is_hex(peek())) digits += take();
            if (!take_if("}")) refuse("a \\x{ without its end");
        } else {
            auto const most = kind == 'x' ? std::size_t{2} : std::size_t{4};
            while (digits.size() < most && is_hex(peek())) digits += take();
            if (kind == 'u' && digits.size() < most) refuse("a \\u without four digits");
        }
        if (digits.empty() || digits.size() > 8) refuse("a code point without 1 to 8 digits");
        auto const raw_byte =
            kind == 'x' && in_[at_ - 1] != '}' && digits.size() == 2 &&
            std::string_view("01234567").find(digits[0]) == std::string_view::npos;
        if (raw_byte) refuse("a single byte above 7F");
        out_ += "\\x{" + digits + "}";
    }

    void character_class() {
        out_ += take();
        if (peek() == '^') out_ += take();
        if (peek() == ']') refuse("an empty class");
        while (peek() != ']') {
            auto const c = take();
            if (c == '[') refuse("a class within a class");
            if (c == '&' && peek() == '&') refuse("an intersection of classes");
            if (c == '\\') {
                class_escape(take());
            } else {
                out_ += c;
            }
        }
        out_ += take();
    }

    void class_escape(char c) {
        if (shared_escape(c)) return;
        if (c == 's') {
            out_ += space_members;
        } else if (c == 'S') {
            out_ += "\\S\\x{180E}";
        } else if (c == 'w') {
            out_ += word_members_in_class;
        } else if (c == 'b') {
            out_ += "\\x{8}";
        } else {
            refuse(std::string("the escape \\") + c + " in a class");
        }
    }

    void group() {
        out_ += take();
        if (peek() == '*') refuse("(*");
        if (peek() != '?') return;
        for (auto const start : {"?:", "?=", "?!", "?>", "?<=", "?<!"}) {
            if (!take_if(start)) continue;
            out_ += start;
            return;
        }
        auto const end = in_.find_first_of(":)", at_);
        auto const options = in_.substr(at_, end == std::string_view::npos ? 0 : end + 1 - at_);
        if (!is_one_of(options, {"?i:", "?-i:", "?i)", "?-i)"})) {
            refuse("the group (" + std::string(in_.substr(at_, 3)));
        }
        if (options.ends_with(')') && at_ != 1) refuse("an option that is not at the start");
        out_ += options;
        at_ += options.size();
    }

    /// {n}, {n,}, {n,m}, {,m}; any other brace stands for itself.
    void interval() {
        auto const end = in_.find('}', at_);
        auto const inside = end == std::string_view::npos ? "" : in_.substr(at_ + 1, end - at_ - 1);
        auto const comma = inside.find(',');
        auto const least = inside.substr(0, comma);
        auto const most = comma == std::string_view::npos ? least : inside.substr(comma + 1);
        auto const number = [](std::string_view text) {
            return text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
        };
        if (!number(least) || !number(most) || (least.empty() && most.empty())) {
            out_ += "\\{";
            ++at_;
            return;
        }
        at_ = end + 1;
        if (peek() == '+' || peek() == '?') refuse("a + or ? after {n,m}");
        out_ += "{" + (least.empty() ? "0" : std::string(least));
        if (comma != std::string_view::npos) out_ += "," + std::string(most);
        out_ += "}";
    }

    std::string_view in_;
    std::size_t at_ = 0;
    std::string out_;
};

}  // namespace

std::string pcre2_from_oniguruma(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace tesserank::io::detail
