#include "io/tokenizer/text_stream.hpp"

#include "io/tokenizer/tokenizer_data.hpp"

#include <utility>

namespace tesserank::io {

struct TextStream::State {
    State(std::shared_ptr<Tokenizer::Data const> tokenizer, Tokenizer::SpecialText special_text)
        : data(std::move(tokenizer)), special(special_text) {}

    std::shared_ptr<Tokenizer::Data const> data;
    Tokenizer::SpecialText special;
    std::string certain;
    detail::Decoder::Run run{data->decoder, certain};
};

TextStream::TextStream(Tokenizer const& tokenizer, Tokenizer::SpecialText special)
    : state_(std::make_unique<State>(tokenizer.data_, special)) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;

std::string TextStream::append(std::int32_t id) {
    auto const* const token = state_->data->find(id);
    if (token == nullptr || !token->exists) return {};
    if (token->skipped && state_->special == Tokenizer::SpecialText::skip) return {};
    state_->run.append(token->text);
    return std::exchange(state_->certain, {});
}

std::string TextStream::finish() {
    state_->run.finish();
    return std::exchange(state_->certain, {});
}

std::unique_ptr<model::TextStream> TextStreamFactory::make() const {
    return std::make_unique<TextStream>(tokenizer_, Tokenizer::SpecialText::skip);
}

}  // namespace tesserank::io
