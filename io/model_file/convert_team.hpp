#pragma once

#include "parallel/agree.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::io {

/// The ranks that convert together, or this process alone, which needs no MPI.
class ConvertTeam {
  public:
    /// nullptr: alone.
    explicit ConvertTeam(parallel::MpiCommunicator* ranks) : ranks_{ranks} {}

    int rank() const { return ranks_ == nullptr ? 0 : ranks_->rank(); }
    int size() const { return ranks_ == nullptr ? 1 : ranks_->size(); }
    bool is_first() const { return rank() == 0; }
    /// By rank, see MpiCommunicator::nodes().
    std::vector<int> nodes() const {
        return ranks_ == nullptr ? std::vector<int>{0} : ranks_->nodes();
    }
    bool is_on_first_node() const {
        return nodes()[static_cast<std::size_t>(rank())] == nodes()[0];
    }

    /// See parallel::agree().
    void agree(std::function<void()> const& work) const {
        if (ranks_ == nullptr) return work();
        parallel::agree(*ranks_, work);
    }
    void agree_early(std::function<void(std::function<bool()> const& goes_on)> const& work) const {
        if (ranks_ == nullptr) return work([] { return true; });
        parallel::agree_early(*ranks_, work);
    }
    /// Rank 0's text, on every rank. Collective.
    std::string from_first(std::string text) const {
        return ranks_ == nullptr ? text : ranks_->broadcast_text(std::move(text), 0);
    }
    /// By rank. Collective.
    std::vector<std::string> texts_of_all(std::string const& text) const {
        if (ranks_ == nullptr) return {text};
        std::vector<std::string> texts;
        texts.reserve(static_cast<std::size_t>(size()));
        for (int i = 0; i < size(); ++i) texts.push_back(ranks_->broadcast_text(text, i));
        return texts;
    }

  private:
    parallel::MpiCommunicator* ranks_;
};

}  // namespace tesserank::io
