#pragma once

#include "kernels/cuda/choice_rules.cuh"
#include "kernels/cuda/token_source.cuh"
#include "kernels/resident_decode.hpp"
#include "kernels/tensor.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// The kernels that choosing tokens is made of. What a row needs in full, its largest logit and its
/// log sum, many blocks find for each row; the rest is one block's work for a row.
namespace tesserank::kernels::cuda {

/// Scratch memory that scan_logits() wants.
std::size_t scan_bytes(std::size_t rows, std::size_t cols);

/// Reads all logits [B, V] once and summarizes each row; `scratch` is part of the result.
LogitRows scan_logits(ConstTensorView logits, ChoiceRules const& rules, std::byte* scratch,
                      cudaStream_t stream);

/// How many blocks are to choose each row's token together: all multiprocessors for few rows. More
/// than one need meeting places, which scan_logits() clears.
unsigned choosing_blocks(std::size_t rows, std::size_t cols, int multiprocessors);

/// chosen [rows]; ended rows and those without candidates get token -1.
void choose_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream);
void choose_tokens(CandidateRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream);

/// The `count` most likely tokens of each row, before any penalty; token -1 where there are no
/// more, and in rows that have ended.
template <class Token>
struct TopTokens {
    Token* top = nullptr;  ///< [rows * per_row()]
    std::size_t count = 0;
    std::int32_t first_id = 0;  ///< is added to the tokens

    /// Behind TokenLogits stands the row's LogSum::logarithm().
    static constexpr bool has_sum = std::is_same_v<Token, TokenLogit>;
    constexpr std::size_t per_row() const { return count + (has_sum ? 1 : 0); }
};
void find_top_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogit> const& to, cudaStream_t stream);
void find_top_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogprob> const& to, cudaStream_t stream);
void find_top_tokens(CandidateRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogprob> const& to, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
