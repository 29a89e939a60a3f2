#include "io/requests/tokenizer_stream.hpp"

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"

#include <string>

namespace tesserank::io {
namespace {

class TokenizerStream final : public model::TextStream {
  public:
    explicit TokenizerStream(Tokenizer const& tokenizer) : stream_(tokenizer, SpecialText::skip) {}
    std::string append(std::int32_t token) override { return stream_.append(token); }
    std::string finish() override { return stream_.finish(); }

  private:
    io::TextStream stream_;
};

}  // namespace

std::unique_ptr<model::TextStream> TokenizerStreamFactory::make() const {
    return std::make_unique<TokenizerStream>(*tokenizer_);
}

}  // namespace tesserank::io
