#pragma once

#include "model/text_stream.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::test {

/// A vocabulary of given pieces: token i adds pieces[i]. Tokens beyond it add nothing, like special
/// tokens.
class FakeTextStream final : public model::TextStream {
  public:
    explicit FakeTextStream(std::vector<std::string> pieces) : pieces_{std::move(pieces)} {}
    std::string append(std::int32_t token) override {
        auto const index = static_cast<std::size_t>(token);
        return index < pieces_.size() ? pieces_[index] : "";
    }
    std::string finish() override { return ""; }

  private:
    std::vector<std::string> pieces_;
};

class FakeTextStreams final : public model::TextStreamFactory {
  public:
    explicit FakeTextStreams(std::vector<std::string> pieces) : pieces_{std::move(pieces)} {}
    std::unique_ptr<model::TextStream> make() const override {
        return std::make_unique<FakeTextStream>(pieces_);
    }

  private:
    std::vector<std::string> pieces_;
};

}  // namespace tesserank::test
