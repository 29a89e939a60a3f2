#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::model {
namespace {

/// Heads that no rank count up to 8 divides, or fewer than there are ranks; MLP columns and
/// vocabulary rows that 7 does not divide either.
std::vector<test::NamedDecoder> uneven_decoders() {
    std::vector<test::NamedDecoder> all{{"25_heads", test::decoder_with({25, 25, 4})},
                                        {"25_heads_5_kv", test::decoder_with({25, 5, 4})},
                                        {"28_heads_4_kv", test::decoder_with({28, 4, 4})},
                                        {"3_heads_1_kv", test::decoder_with({3, 1, 4})},
                                        {"4_heads", test::decoder_with({4, 4, 4})}};
    for (auto& decoder : all) {
        decoder.config.intermediate = 172;
        decoder.config.vocabulary = 509;
    }
    return all;
}

class UnevenTest : public test::MpiTest, public ::testing::WithParamInterface<test::NamedDecoder> {
  protected:
    std::vector<ScoreRequest> requests() const {
        std::vector<ScoreRequest> all;
        for (std::size_t i = 0; i < 5; ++i) {
            all.push_back({std::to_string(i), test::pseudo_tokens(config, 2 + i, i), {}, {1}});
        }
        return all;
    }

    DecoderConfig config = GetParam().config;
};

TEST_P(UnevenTest, GivesTheLogitsOfOneRankUnderEveryPlacement) {
    auto const all = requests();
    std::vector<test::Rows> wanted;
    if (world.rank() == 0) {
        test::Alone alone(config);
        for (auto const& [id, prompt, pictures, completion] : all) {
            auto tokens = prompt;
            tokens.push_back(completion.front());
            wanted.push_back(alone.logits(tokens));
        }
    }
    for (auto const* wish : {"shard", "replicate", "split-batch", "replicate-attention",
                             "split-batch-attention", "*.attention=single:0,*.mlp=split-batch"}) {
        SCOPED_TRACE(wish);
        test::LoadedModel model(config, test::preset_plan(config, wish, world.size()), world);
        test::KeepLogits sink;
        score(model.transformer, world, test::on_rank_0(world, all),
              {.eos_ids = {}, .text = nullptr, .logits = &sink});
        EXPECT_EQ(sink.rows.size(), wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            test::expect_close(sink.rows[all[i].id], wanted[i]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Decoders, UnevenTest, ::testing::ValuesIn(uneven_decoders()),
                         [](auto const& param) { return "of_" + param.param.name; });

}  // namespace
}  // namespace tesserank::model
