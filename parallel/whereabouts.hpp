#pragma once

#include "parallel/collective_call.hpp"

#include <exception>
#include <string>

namespace tesserank::parallel {

using HostName = ShortText<63>;
/// This machine's.
HostName host_name();

/// "rank 2 (node3, decode, layers.3.mlp)": the rank, its host, and what the calling thread is doing
/// or, in a handler, was doing when the exception was thrown.
std::string rank_and_place(int rank);

/// What an exception says. Of std::bad_alloc, which says nothing: how much memory this process has,
/// and what is left.
std::string text_of(std::exception const& error);

}  // namespace tesserank::parallel
