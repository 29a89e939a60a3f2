#pragma once

#include "model/text_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::test {

enum class HoldBack : std::uint8_t { nothing, last_piece };

/// A vocabulary of given pieces: token i adds pieces[i]. Tokens beyond it add nothing, like special
/// tokens. The last piece may be held back until another comes, like a byte that may not be a whole
/// character.
class FakeTextStream final : public model::TextStream {
  public:
    explicit FakeTextStream(std::vector<std::string> pieces, HoldBack hold_back = HoldBack::nothing)
        : pieces_{std::move(pieces)}, hold_back_{hold_back} {}
    std::string append(std::int32_t token) override {
        auto const index = static_cast<std::size_t>(token);
        if (index >= pieces_.size()) return "";
        if (hold_back_ == HoldBack::nothing) return pieces_[index];
        return std::exchange(held_, pieces_[index]);
    }
    std::string finish() override { return std::exchange(held_, ""); }

  private:
    std::vector<std::string> pieces_;
    HoldBack hold_back_;
    std::string held_;
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
