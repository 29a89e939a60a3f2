#pragma once

#include "io/requests/id_set.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/request_line.hpp"
#include "model/request.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>

namespace tesserank::io {

class Tokenizer;

/// What the model and the command line say about every request.
struct RequestLimits {
    std::size_t vocabulary = 0;
    std::size_t max_length = 0;                      ///< prompt and new tokens together
    std::string_view max_length_of = "the context";  ///< what sets it, for messages
    std::size_t default_max_new_tokens = 0;          ///< 0: as many as fit
    /// For what a line leaves open; see generation_defaults.hpp.
    model::SamplingOptions sampling;
};

/// Reads requests one by one, in file order, with memory for one line and 16 bytes per id. Blank
/// lines are skipped; each other line gives a checked request or a RequestError whose message
/// starts with "line n: ". Text is encoded with the tokenizer: prompts with the special tokens that
/// its post-processor adds, completions without. A text above 1 MiB is refused unread when it has
/// more than 4 times the longest token's bytes for each token of max_length, and by its start when
/// its first 16 bytes for each of them are more than two tokens each.
class RequestReader {
  public:
    /// `lines` of at most longest_request_line bytes, none taken yet. Without a tokenizer they must
    /// have "tokens". Borrows `tokenizer`.
    RequestReader(LineReader lines, RequestLimits limits, Tokenizer const* tokenizer);

    /// The next request; nullopt at the end. The default of max_new_tokens is cut to what fits
    /// max_length. Errors: SystemError if the file cannot be read.
    std::optional<std::variant<model::GenerateRequest, RequestError>> next_generate();

    /// The completion's text is encoded on its own, apart from the prompt, as most evaluation
    /// harnesses do: no token spans the boundary. A tokenizer that marks the start of a text
    /// (SentencePiece's leading blank) marks the completion's start too: write the completion
    /// without the blank there, or give tokens.
    std::optional<std::variant<model::ScoreRequest, RequestError>> next_score();

    /// Passes over the first `lines` lines, which were answered before; their ids stay taken.
    /// Errors: InputError when there are fewer.
    void skip(Task task, std::size_t lines);

    /// The number, from 1, of the line that the last request came from.
    std::size_t line() const { return lines_.line(); }

  private:
    std::optional<std::variant<RequestLine, RequestError>> next_line(Task task);
    template <class Request, class Make>
    std::optional<std::variant<Request, RequestError>> next(Task task, Make make);

    LineReader lines_;
    RequestLimits limits_;
    Tokenizer const* tokenizer_;
    IdSet ids_;
};

}  // namespace tesserank::io
