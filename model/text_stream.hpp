#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace tesserank::model {

/// The growing text of one sequence, special tokens skipped; io implements it. Needed to find stop
/// strings.
class TextStream {
  public:
    virtual ~TextStream() = default;
    /// The text that became certain with this token; never half a character.
    virtual std::string append(std::int32_t token) = 0;
    /// The rest: what was held back.
    virtual std::string finish() = 0;
};

/// Makes one stream per sequence.
class TextStreamFactory {
  public:
    virtual ~TextStreamFactory() = default;
    virtual std::unique_ptr<TextStream> make() const = 0;
};

}  // namespace tesserank::model
