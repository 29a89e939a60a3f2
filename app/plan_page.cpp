#include "app/plan_page.hpp"

#include "app/plan_table.hpp"
#include "kernels/error.hpp"

#include <array>
#include <span>
#include <sstream>
#include <utility>

namespace tesserank::app {

/// app/plan_page.html; the build writes it (cmake/embed_text.cmake).
std::string_view plan_page_template();

namespace {

using Replacement = std::pair<std::string_view, std::string_view>;

/// What is put in is not looked at again.
std::string replace_all(std::string_view text, std::span<Replacement const> replacements) {
    std::string out;
    while (!text.empty()) {
        auto const* found = replacements.data();
        auto const* const end = found + replacements.size();
        while (found != end && !text.starts_with(found->first)) ++found;
        out += found == end ? text.substr(0, 1) : found->second;
        text.remove_prefix(found == end ? 1 : found->first.size());
    }
    return out;
}

/// What stands before and behind the placeholder.
std::pair<std::string_view, std::string_view> split_at(std::string_view page,
                                                       std::string_view placeholder) {
    auto const at = page.find(placeholder);
    kernels::require(at != std::string_view::npos, "the template of the page lacks a placeholder");
    return {page.substr(0, at), page.substr(at + placeholder.size())};
}

}  // namespace

std::string json_for_script(std::string_view json) {
    static constexpr std::array<Replacement, 3> replacements{
        {{"<", "\\u003c"}, {"\xe2\x80\xa8", "\\u2028"}, {"\xe2\x80\xa9", "\\u2029"}}};
    return replace_all(json, replacements);
}

std::string text_for_html(std::string_view text) {
    static constexpr std::array<Replacement, 3> replacements{
        {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}}};
    return replace_all(text, replacements);
}

std::string plan_page(model::PlanFacts const& facts, io::PlanPrediction const& prediction,
                      std::string_view title) {
    std::ostringstream table;
    print_plan(table, facts, prediction, title);
    // Cut before anything is put in, so that a title cannot hold a placeholder.
    auto const [head, rest] = split_at(plan_page_template(), "@PLAN_TEXT@");
    auto const [middle, tail] = split_at(rest, "@PLAN_JSON@");
    std::string page(head);
    page += text_for_html(table.str());
    page += middle;
    page += json_for_script(io::plan_report_json(facts, prediction, title));
    page += tail;
    return page;
}

}  // namespace tesserank::app
