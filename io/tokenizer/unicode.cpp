#include "io/tokenizer/unicode.hpp"

#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

namespace tesserank::io::detail {
namespace {

utf8proc_category_t category(char32_t value) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

constexpr bool within(char32_t value, char32_t least, char32_t most) {
    return value >= least && value <= most;
}

/// Below this every character stands for itself and combines with nothing before it.
constexpr char32_t first_affected(NormalForm form) {
    return form == NormalForm::nfc ? 0x300 : 0x80;
}

utf8proc_option_t decomposition(NormalForm form) {
    auto const compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
    return static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
                                          (compatible ? UTF8PROC_COMPAT : 0));
}

std::uint32_t combining_class(utf8proc_int32_t value) {
    return static_cast<std::uint32_t>(utf8proc_get_property(value)->combining_class);
}

/// Appends the full decomposition of one character.
void decompose(char32_t value, utf8proc_option_t options, std::vector<utf8proc_int32_t>& out) {
    constexpr std::size_t room = 32;  // the longest decomposition has 18 characters
    auto const begin = out.size();
    out.resize(begin + room);
    int last_boundary_class = 0;
    auto const count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(value), out.data() + begin,
                                utf8proc_ssize_t{room}, options, &last_boundary_class);
    kernels::require(count >= 0 && count <= utf8proc_ssize_t{room}, "utf8proc_decompose_char");
    out.resize(begin + static_cast<std::size_t>(count));
}

/// Sorts each run of combining marks by class. utf8proc's own sort is quadratic in a run's length.
void order_marks(std::vector<utf8proc_int32_t>& characters) {
    auto const is_mark = [](auto value) { return combining_class(value) != 0; };
    auto const by_class = [](auto a, auto b) { return combining_class(a) < combining_class(b); };
    auto run = characters.begin();
    while ((run = std::find_if(run, characters.end(), is_mark)) != characters.end()) {
        auto const end = std::find_if_not(run, characters.end(), is_mark);
        std::stable_sort(run, end, by_class);
        run = end;
    }
}

void append_normalized(std::string_view part, NormalForm form, std::string& out) {
    std::vector<utf8proc_int32_t> characters;
    characters.reserve(part.size());
    for (std::size_t position = 0; position < part.size();) {
        auto const [value, size] = character_at(part, position);
        decompose(value, decomposition(form), characters);
        position += size;
    }
    order_marks(characters);
    if (form == NormalForm::nfc || form == NormalForm::nfkc) {
        auto const count = utf8proc_normalize_utf32(
            characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
            static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
        kernels::require(count >= 0, "utf8proc_normalize_utf32");
        characters.resize(static_cast<std::size_t>(count));
    }
    for (auto const value : characters) append_character(out, static_cast<char32_t>(value));
}

}  // namespace

bool is_whitespace(char32_t value) {
    return within(value, 0x09, 0x0D) || value == 0x20 || value == 0x85 || value == 0xA0 ||
           value == 0x1680 || within(value, 0x2000, 0x200A) || within(value, 0x2028, 0x2029) ||
           value == 0x202F || value == 0x205F || value == 0x3000;
}

bool is_numeric(char32_t value) {
    if (value < 0x80) return within(value, '0', '9');
    auto const kind = category(value);
    return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
           kind == UTF8PROC_CATEGORY_NO;
}

bool is_word(char32_t value) {
    auto const kind = category(value);
    auto const letter_or_mark = kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_ME;
    auto const circled_letter = within(value, 0x24B6, 0x24E9) || within(value, 0x1F130, 0x1F149) ||
                                within(value, 0x1F150, 0x1F169) || within(value, 0x1F170, 0x1F189);
    return letter_or_mark || kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
           kind == UTF8PROC_CATEGORY_PC || circled_letter || within(value, 0x200C, 0x200D);
}

bool is_combining_mark(char32_t value) {
    auto const kind = category(value);
    return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

void append_lowercase(std::string& text, char32_t value) {
    constexpr char32_t capital_i_with_dot = 0x130;  // the only one whose lower case is two
    if (value == capital_i_with_dot) {
        text += "i\xCC\x87";
        return;
    }
    append_character(text,
                     static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(value))));
}

std::string normalized(std::string_view text, NormalForm form) {
    std::string out;
    out.reserve(text.size());
    auto const limit = first_affected(form);
    std::size_t copied = 0;    // all before this is in `out`
    std::size_t previous = 0;  // start of the last character, which a mark may still combine with
    for (std::size_t position = 0; position < text.size();) {
        auto const [value, size] = character_at(text, position);
        if (value < limit) {
            previous = position;
            position += size;
            continue;
        }
        auto end = position;
        while (end < text.size() && character_at(text, end).value >= limit) {
            end += character_at(text, end).size;
        }
        out += text.substr(copied, previous - copied);
        append_normalized(text.substr(previous, end - previous), form, out);
        copied = previous = position = end;
    }
    return out += text.substr(copied);
}

}  // namespace tesserank::io::detail
