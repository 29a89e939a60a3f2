#include "io/requests/result_writer.hpp"

#include "io/tokenizer/tokenizer.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tesserank::io {
namespace {

Tokenizer load_tokenizer() {
    std::ostringstream json;
    json << std::ifstream(TESSERANK_SOURCE_DIR "/tests/golden/tokenizers/gpt2/tokenizer.json")
                .rdbuf();
    return Tokenizer::from_json(json.str(), "gpt2");
}

/// What `write` puts into a file, which is then committed.
std::string written(Task task, Tokenizer const* tokenizer, auto write) {
    TemporaryFolder const folder;
    ResultWriter writer(folder.path("out.jsonl"), task, tokenizer);
    write(writer);
    writer.commit();
    return folder.read("out.jsonl");
}

model::GenerateRequest request(std::string id) {
    return {
        .id = std::move(id), .prompt = {1, 2, 3}, .sampling = {}, .stop = {}, .top_logprobs = {}};
}

TEST(ResultWriter, WritesTheFormOfTheDesign) {
    auto const tokenizer = load_tokenizer();
    auto const tokens = tokenizer.encode("Hello", Tokenizer::SpecialTokens::omit);
    std::string list;
    for (auto const token : tokens) list += (list.empty() ? "" : ", ") + std::to_string(token);
    EXPECT_EQ(written(Task::generate, &tokenizer,
                      [&](ResultWriter& writer) {
                          writer.write(request("a"), {.tokens = tokens,
                                                      .reason = model::FinishReason::length,
                                                      .text_end = {},
                                                      .logprobs = {},
                                                      .top_logprobs = {}});
                      }),
              "{\"id\": \"a\", \"text\": \"Hello\", \"tokens\": [" + list +
                  "], \"finish_reason\": \"length\", \"prompt_tokens\": 3}\n");
}

TEST(ResultWriter, WritesAResultThatFailedAsAnError) {
    std::size_t errors = 0;
    auto const lines = written(Task::generate, nullptr, [&](ResultWriter& writer) {
        model::GenerateResult result;
        result.error = "no number";
        writer.write(request("a"), result);
        errors = writer.progress().errors;
    });
    EXPECT_EQ(errors, 1U);
    EXPECT_EQ(lines,
              "{\"id\": \"a\", \"text\": \"\", \"tokens\": [], \"finish_reason\": \"error\", "
              "\"prompt_tokens\": 0, \"error\": \"no number\"}\n");
    EXPECT_EQ(written(Task::score, nullptr,
                      [](ResultWriter& writer) {
                          model::ScoreRequest scored;
                          scored.id = "s";
                          model::ScoreResult result;
                          result.error = "no number";
                          writer.write(scored, result);
                      }),
              "{\"id\": \"s\", \"error\": \"no number\"}\n");
}

TEST(ResultWriter, CutsTheTextBeforeTheStopString) {
    auto const tokenizer = load_tokenizer();
    auto const text = written(Task::generate, &tokenizer, [&](ResultWriter& writer) {
        writer.write(request("a"),
                     {.tokens = tokenizer.encode("Hello END", Tokenizer::SpecialTokens::omit),
                      .reason = model::FinishReason::stop,
                      .text_end = 6,
                      .logprobs = {},
                      .top_logprobs = {}});
    });
    EXPECT_THAT(text, ::testing::HasSubstr(R"("text": "Hello ", )"));
    EXPECT_THAT(text, ::testing::HasSubstr(R"("finish_reason": "stop", )"));
}

TEST(ResultWriter, WritesLogprobsThatReadBackExactly) {
    auto wanted = request("a");
    wanted.top_logprobs = 2;
    auto constexpr infinite = std::numeric_limits<float>::infinity();
    EXPECT_EQ(written(Task::generate, nullptr,
                      [&](ResultWriter& writer) {
                          writer.write(wanted, {.tokens = {5, 6},
                                                .reason = model::FinishReason::stop,
                                                .text_end = {},
                                                .logprobs = {-0.1F, -1e-7F},
                                                .top_logprobs = {{{5, -0.1F}, {7, -16777216.0F}},
                                                                 {{6, 0.0F}, {8, -infinite}}}});
                      }),
              R"({"id": "a", "text": null, "tokens": [5, 6], "finish_reason": "stop", )"
              R"("prompt_tokens": 3, "logprobs": [-0.1, -1e-07], "top_logprobs": )"
              R"([[{"token": 5, "logprob": -0.1}, {"token": 7, "logprob": -16777216}], )"
              R"([{"token": 6, "logprob": 0}, {"token": 8, "logprob": null}]]})"
              "\n");
}

TEST(ResultWriter, WritesLogprobsOfTheChosenTokenAlone) {
    auto wanted = request("a");
    wanted.top_logprobs = 0;
    EXPECT_EQ(written(Task::generate, nullptr,
                      [&](ResultWriter& writer) {
                          writer.write(wanted, {.tokens = {5},
                                                .reason = model::FinishReason::stop,
                                                .text_end = {},
                                                .logprobs = {-0.5F},
                                                .top_logprobs = {{}}});
                      }),
              R"({"id": "a", "text": null, "tokens": [5], "finish_reason": "stop", )"
              R"("prompt_tokens": 3, "logprobs": [-0.5]})"
              "\n");
}

TEST(ResultWriter, WritesScoresAndTheirSum) {
    model::ScoreRequest const asked{.id = "s0", .prompt = {1}, .completion = {4, 5}};
    auto const not_a_number = std::nanf("");
    EXPECT_EQ(written(Task::score, nullptr,
                      [&](ResultWriter& writer) {
                          writer.write(asked, {.logprobs = {-0.5F, -1.25F}});
                          writer.write(asked, {.logprobs = {-0.5F, not_a_number}});
                      }),
              R"({"id": "s0", "prompt_tokens": 1, "completion_tokens": 2, "tokens": [4, 5], )"
              R"("logprobs": [-0.5, -1.25], "sum_logprob": -1.75})"
              "\n"
              R"({"id": "s0", "prompt_tokens": 1, "completion_tokens": 2, "tokens": [4, 5], )"
              R"("logprobs": [-0.5, null], "sum_logprob": null})"
              "\n");
}

TEST(ResultWriter, WritesErrorsWithAndWithoutId) {
    auto const write = [](ResultWriter& writer) {
        writer.write(RequestError{.id = "a\n", .line = 7, .message = "line 7: \"x\"\x01 \xFF"});
        writer.write(RequestError{.id = {}, .line = 8, .message = "line 8: y"});
        EXPECT_EQ(writer.progress().errors, 2U);
        EXPECT_EQ(writer.progress().results, 2U);
    };
    EXPECT_EQ(written(Task::generate, nullptr, write),
              R"({"id": "a\n", "text": "", "tokens": [], "finish_reason": "error", )"
              R"("prompt_tokens": 0, "error": "line 7: \"x\"\u0001 )"
              "\xEF\xBF\xBD"
              R"("})"
              "\n"
              R"({"id": null, "text": "", "tokens": [], "finish_reason": "error", )"
              R"("prompt_tokens": 0, "error": "line 8: y"})"
              "\n");
    EXPECT_THAT(written(Task::score, nullptr, write),
                ::testing::EndsWith("{\"id\": null, \"error\": \"line 8: y\"}\n"));
}

TEST(ResultWriter, MissingFolderIsRefusedBeforeAnyWork) {
    EXPECT_THROW(ResultWriter("/nonexistent/out.jsonl", Task::generate, nullptr),
                 kernels::InputError);
}

}  // namespace
}  // namespace tesserank::io
