#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/tokenizer/regex.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/regex_syntax.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <pcre2.h>

#include <algorithm>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;

constexpr std::uint32_t compile_options =
    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
constexpr std::size_t longest_pattern = 1 << 16;
constexpr std::size_t most_jit_stack_bytes = std::size_t{8} << 20;
constexpr std::uint32_t most_heap_kib = 64U << 10;
constexpr int searches_per_look_at_clock = 16;

/// Start positions that one search may try: few in a long text, where each may take long.
std::size_t starts_per_search(std::size_t text_bytes) {
    return std::clamp<std::size_t>((1 << 24) / (text_bytes + 1), 16, 512);
}

std::string message_of(int error) {
    std::string text(256, '\0');
    auto const length =
        pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text.data()), text.size());
    text.resize(static_cast<std::size_t>(std::max(length, 0)));
    return text;
}

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

struct CloseCompileContext {
    void operator()(pcre2_compile_context* context) const noexcept {
        pcre2_compile_context_free(context);
    }
};

pcre2_code* compile(std::string_view pattern) {
    if (pattern.size() > longest_pattern) throw InputError("a regular expression above 64 KiB");
    auto const translated = pcre2_from_oniguruma(pattern);
    std::unique_ptr<pcre2_compile_context, CloseCompileContext> const context(
        pcre2_compile_context_create(nullptr));
    if (!context) throw kernels::SystemError("PCRE2: out of memory");
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context.get(), 100);
    int error = 0;
    PCRE2_SIZE offset = 0;
    auto* const code = pcre2_compile(bytes_of(translated), translated.size(), compile_options,
                                     &error, &offset, context.get());
    if (code != nullptr) return code;
    throw InputError("the regular expression " + quote_name(pattern) +
                     " does not compile: " + message_of(error) + " (at byte " +
                     std::to_string(offset) + " of " + quote_name(translated) + ")");
}

/// Ends a search whose time grows faster than the text.
class Deadline {
  public:
    explicit Deadline(std::size_t text_bytes)
        : limit_(std::chrono::steady_clock::now() + std::chrono::seconds(10) +
                 std::chrono::seconds(text_bytes >> 18)) {}

    bool passed() {
        if (++searches_ < searches_per_look_at_clock) return false;
        searches_ = 0;
        return std::chrono::steady_clock::now() > limit_;
    }

  private:
    std::chrono::steady_clock::time_point limit_;
    int searches_ = 0;
};

}  // namespace

struct RegexScratch::Handles {
    pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    pcre2_jit_stack* stack = pcre2_jit_stack_create(32U << 10, most_jit_stack_bytes, nullptr);

    Handles() {
        if (match == nullptr || context == nullptr || stack == nullptr) {
            close();
            throw kernels::SystemError("PCRE2: out of memory");
        }
        pcre2_jit_stack_assign(context, nullptr, stack);
        pcre2_set_heap_limit(context, most_heap_kib);
    }
    ~Handles() { close(); }
    Handles(Handles const&) = delete;
    Handles& operator=(Handles const&) = delete;
    Handles(Handles&&) = delete;
    Handles& operator=(Handles&&) = delete;

  private:
    void close() const noexcept {
        pcre2_match_data_free(match);
        pcre2_match_context_free(context);
        pcre2_jit_stack_free(stack);
    }
};

RegexScratch::RegexScratch() : handles_(std::make_unique<Handles>()) {}
RegexScratch::~RegexScratch() = default;
RegexScratch::RegexScratch(RegexScratch&&) noexcept = default;
RegexScratch& RegexScratch::operator=(RegexScratch&&) noexcept = default;

void Regex::Close::operator()(pcre2_real_code_8* code) const noexcept { pcre2_code_free(code); }

Regex::Regex(std::string_view pattern)
    : pattern_(pattern),
      code_(compile(pattern)),
      compiled_to_machine_code_(pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0) {}

/// The first match that starts at `start` or up to starts_per_search() bytes after it.
Regex::Found Regex::find_from(std::string_view text, std::size_t start, RegexScratch& scratch,
                              Span& match) const {
    auto& [data, context, stack] = scratch.handles();
    pcre2_set_offset_limit(context, start + starts_per_search(text.size()));
    auto const result =
        compiled_to_machine_code_
            ? pcre2_jit_match(code_.get(), bytes_of(text), text.size(), start, 0, data, context)
            : pcre2_match(code_.get(), bytes_of(text), text.size(), start, PCRE2_NO_UTF_CHECK, data,
                          context);
    if (result == PCRE2_ERROR_NOMATCH) return Found::nothing;
    if (result < 0) {
        throw InputError("the regular expression " + quote_name(pattern_) +
                         " failed on a text of " + std::to_string(text.size()) +
                         " bytes: " + message_of(result));
    }
    auto const* const ends = pcre2_get_ovector_pointer(data);
    match = {ends[0], std::max(ends[0], ends[1])};
    return Found::match;
}

void Regex::find_all(std::string_view text, RegexScratch& scratch,
                     std::vector<Span>& matches) const {
    // A pattern may step back over the whole text once or twice; more than that grows too fast.
    auto const steps = std::min<std::size_t>(1'000'000 + 16 * text.size(), UINT32_MAX);
    pcre2_set_match_limit(scratch.handles().context, static_cast<std::uint32_t>(steps));
    Deadline deadline(text.size());
    auto const next_character = [&](std::size_t position) {
        return position + (position < text.size() ? character_size(text[position]) : 1);
    };
    auto last_end = std::string_view::npos;
    for (std::size_t start = 0; start <= text.size();) {
        if (deadline.passed()) {
            throw InputError("the regular expression " + quote_name(pattern_) +
                             " takes too long on a text of " + std::to_string(text.size()) +
                             " bytes");
        }
        Span match{};
        if (find_from(text, start, scratch, match) == Found::nothing) {
            start += starts_per_search(text.size()) + 1;
            while (start < text.size() && (text[start] & '\xC0') == '\x80') ++start;
            continue;
        }
        if (match.begin == match.end && match.end == last_end) {
            start = next_character(start);
            continue;
        }
        matches.push_back(match);
        start = last_end = match.end;
    }
}

}  // namespace tesserank::io::detail
