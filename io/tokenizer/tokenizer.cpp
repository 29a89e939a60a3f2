#include "io/tokenizer/tokenizer.hpp"

#include "io/json_reader.hpp"
#include "io/tokenizer/tokenizer_data.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

namespace tesserank::io {
namespace {

[[noreturn]] void refuse_id(std::int32_t id, std::size_t size) {
    throw kernels::InputError("the token id " + std::to_string(id) +
                              " is not in the vocabulary (0 to " + std::to_string(size) + " - 1)");
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<Data const> data) : data_(std::move(data)) {}

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view origin) {
    JsonDocument const document(json, origin);
    return Tokenizer(std::make_shared<Data const>(document.root()));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
    auto const invalid = detail::find_invalid_utf8(text);
    if (invalid != std::string_view::npos) {
        throw kernels::InputError("the text is not UTF-8: byte " + std::to_string(invalid) +
                                  " of " + std::to_string(text.size()) +
                                  " does not belong to a character");
    }
    auto scratch = data_->pool.take();
    auto tokens = data_->encode(text, *scratch);
    data_->pool.give_back(std::move(scratch));
    auto const& post_processor = data_->post_processor;
    return special == SpecialTokens::add ? post_processor.with_special(tokens)
                                         : post_processor.without_special(std::move(tokens));
}

std::string Tokenizer::decode(std::span<std::int32_t const> ids, SpecialText special) const {
    std::string text;
    detail::Decoder::Run run(data_->decoder, text);
    for (auto const id : ids) {
        auto const* const token = data_->find(id);
        if (token == nullptr) refuse_id(id, vocabulary_size());
        if (!token->exists || (token->skipped && special == SpecialText::skip)) continue;
        run.append(token->text);
    }
    run.finish();
    return text;
}

std::size_t Tokenizer::vocabulary_size() const { return data_->tokens.size(); }

std::size_t Tokenizer::longest_token_bytes() const { return data_->longest_token_bytes; }

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
    auto const added = data_->added.id_of(token);
    return added ? added : data_->model.vocabulary().id_of(token);
}

std::string Tokenizer::token(std::int32_t id) const {
    auto const* const token = data_->find(id);
    if (token == nullptr) refuse_id(id, vocabulary_size());
    return std::string(token->text);
}

}  // namespace tesserank::io
