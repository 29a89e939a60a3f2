#pragma once

#include "kernels/backend.hpp"
#include "model/request.hpp"
#include "parallel/layout.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::model {

/// A chosen token, as the choosing rank tells it to the others.
struct Choice {
    std::int32_t token;
    std::int32_t ended;  ///< 1: the sequence leaves
};

/// Beyond this the candidates of all ranks are no longer a small part of the logits.
inline constexpr std::size_t most_candidates = 256;

/// How many of the most likely tokens decide what a request's next token and its logprobs are, so
/// that ranks need not exchange all logits; 0: all of the vocabulary is needed.
std::size_t candidates_for(GenerateRequest const& request, std::size_t vocabulary);

/// The most likely tokens of some rows of logits, from all ranks.
struct Candidates {
    std::size_t rows = 0, per_row = 0;
    /// [rows, per_row], each row by rising token id, so that the first of equals has the lowest id.
    std::vector<float> logits;
    std::vector<std::int32_t> tokens;
    std::vector<float> log_sums;  ///< [rows] log of the sum of e^logit over the vocabulary
};

/// What a rank has of the logits: some rows, and some columns of each.
struct LogitShare {
    parallel::Range rows, columns;
};
LogitShare logit_share(parallel::AnyActivation const& logits, int rank);

/// Whether logits in this layout have to be exchanged before a token can be chosen.
bool needs_exchange(parallel::Layout const& logits);

/// Brings the `count` best tokens of each row to the choosing rank; empty elsewhere. Collective:
/// each rank sends, for each of its rows, 8 bytes for a candidate and 4 for the sum.
Candidates gather_candidates(kernels::Backend& backend, parallel::MpiCommunicator& ranks,
                             parallel::AnyActivation const& logits, std::size_t count);

/// Bytes that rank r sends for `rows` rows of logits of its own, with `columns` columns.
std::size_t candidate_bytes(std::size_t rows, std::size_t columns, std::size_t count);
/// The same where the device chooses, of any number of columns; see ResidentDecode::top_logits.
std::size_t resident_candidate_bytes(std::size_t rows, std::size_t count);

}  // namespace tesserank::model
