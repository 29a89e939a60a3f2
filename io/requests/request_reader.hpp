#pragma once

#include "io/requests/id_set.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/prompt.hpp"
#include "io/requests/request_line.hpp"
#include "model/request.hpp"

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

namespace tesserank::io {

/// A line of the input: its number, from 1, and the request that it asks for, or why there is none.
template <class Request>
struct ReadLine {
    std::size_t line = 0;
    std::variant<Request, RequestError> content;
};

/// Reads requests in file order, some at a time, with memory for their lines and pictures and 16
/// bytes per id. Blank lines are skipped; each other line gives a checked request or a RequestError
/// whose message starts with "line n: ". Text is encoded with the tokenizer: prompts with the
/// special tokens that its post-processor adds, completions without.
class RequestReader {
  public:
    /// `lines` of at most longest_request_line bytes, none taken yet. Without a tokenizer they must
    /// have "tokens".
    RequestReader(LineReader lines, RequestLimits limits, PromptTools tools);

    /// The next requests, at most `most` and no more than a few long lines have; none only at the
    /// end. They are made by several threads where there are cores. The default of max_new_tokens
    /// is cut to what fits max_length. Errors: SystemError if the file cannot be read.
    std::vector<ReadLine<model::GenerateRequest>> next_generate(std::size_t most);

    /// The completion's text is encoded on its own, apart from the prompt, as most evaluation
    /// harnesses do: no token spans the boundary. A tokenizer that marks the start of a text
    /// (SentencePiece's leading blank) marks the completion's start too: write the completion
    /// without the blank there, or give tokens.
    std::vector<ReadLine<model::ScoreRequest>> next_score(std::size_t most);

    /// Passes over the first `lines` lines, which were answered before; their ids stay taken.
    /// Errors: InputError when there are fewer.
    void skip(Task task, std::size_t lines);

    /// See LineReader::is_stopped().
    bool is_stopped() const { return lines_.is_stopped(); }

    /// The number, from 1, of the last line that was read.
    std::size_t line() const { return lines_.line(); }

  private:
    std::optional<std::variant<RequestLine, RequestError>> next_line(Task task);
    template <class Request, class Make>
    std::vector<ReadLine<Request>> next(std::size_t most, Task task, Make make);

    LineReader lines_;
    RequestLimits limits_;
    PromptTools tools_;
    IdSet ids_;
};

}  // namespace tesserank::io
