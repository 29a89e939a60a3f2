#include "app/plan_page.hpp"

#include "io/json_reader.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tesserank::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view begin_of_json = R"(<script id="plan" type="application/json">)";

std::string page(std::string_view title) {
    auto const config = test::tiny_decoder();
    auto const modules = model::describe_modules(config);
    auto plan = model::make_plan(modules, "split-batch-attention", 2);
    model::settle_streams(plan, modules, kernels::DType::f32);
    auto const facts = model::facts_of(
        config, plan, {.compute = kernels::DType::f32, .max_rows = 64, .max_logit_rows = 64},
        {.batch = 2, .prompt = 8, .new_tokens = 4, .candidates = 1},
        [](std::string_view) { return kernels::DType::f32; });
    return plan_page(facts, {"a machine", {}, {}, {}}, title);
}

/// As a browser finds it: up to the first end of a script element.
std::string_view json_in(std::string_view html) {
    auto const begin = html.find(begin_of_json) + begin_of_json.size();
    return html.substr(begin, html.find("</script", begin) - begin);
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

std::string title_in(std::string_view html) {
    return io::JsonDocument(json_in(html), "page").root().at("title").string();
}

TEST(PlanPage, HoldsThePlanAsJsonAndAsText) {
    auto const html = page("tiny");
    EXPECT_THAT(html, Not(HasSubstr("@PLAN_")));
    io::JsonDocument const document(json_in(html), "page");
    EXPECT_EQ(document.root().at("ranks").integer(0, 100), 2);
    EXPECT_EQ(title_in(html), "tiny");
    EXPECT_THAT(html, HasSubstr("tiny on 2 rank(s): batch 2, prompt 8, new tokens 4"));
}

TEST(PlanPage, NeedsNothingFromElsewhere) {
    auto const html = page("tiny");
    EXPECT_THAT(html, HasSubstr("default-src 'none'"));
    for (auto const* outside : {" src=", "@import", "<link", "fetch(", "https:"}) {
        EXPECT_THAT(html, Not(HasSubstr(outside)));
    }
    // The only address is the name of SVG in the data of masks.
    EXPECT_EQ(count(html, "http:"), count(html, "xmlns='http://www.w3.org/2000/svg'"));
}

TEST(PlanPage, AHostileTitleIsText) {
    for (std::string const title :
         {"</script><script>alert(1)</script>", "<!--<script>",
          "</pre><img src=x onerror=alert(1)>", "@PLAN_JSON@ and @PLAN_TEXT@", "\"}; alert(1); //",
          "a\xe2\x80\xa8z\xe2\x80\xa9", "&lt;"}) {
        auto const html = page(title);
        EXPECT_EQ(title_in(html), title);
        for (auto const* tag : {"<script", "</script>", "<!--", "<img", "</pre>"}) {
            EXPECT_EQ(count(html, tag), count(page("tiny"), tag)) << title << ": " << tag;
        }
    }
}

TEST(PlanPage, JsonInAScriptKeepsItsValue) {
    EXPECT_EQ(json_for_script(R"({"a": "</b>"})"), R"({"a": "\u003c/b>"})");
    EXPECT_EQ(json_for_script("\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xaa"),
              "\\u2028|\\u2029|\xe2\x80\xaa");
    EXPECT_EQ(text_for_html("a < b && c > d"), "a &lt; b &amp;&amp; c &gt; d");
}

}  // namespace
}  // namespace tesserank::app
