#include "io/model_file/convert_share.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::io {
namespace {

std::size_t bytes_of(SafetensorsFile const& file) {
    return std::accumulate(file.tensors.begin(), file.tensors.end(), std::size_t{0},
                           [](std::size_t sum, auto const& tensor) { return sum + tensor.bytes; });
}

class Sharing {
  public:
    Sharing(std::span<SafetensorsFile const> files, int ranks)
        : files_{files},
          shares_(static_cast<std::size_t>(ranks), ConvertShare(files.size())),
          loads_(shares_.size(), 0),
          owners_(files.size(), 0) {}

    void deal_files();
    void cut_files();
    std::vector<ConvertShare> take() { return std::move(shares_); }

  private:
    std::size_t least_loaded() const {
        return static_cast<std::size_t>(std::ranges::min_element(loads_) - loads_.begin());
    }
    bool give_last_tensor(std::size_t file, std::size_t to);

    std::span<SafetensorsFile const> files_;
    std::vector<ConvertShare> shares_;  ///< by rank
    std::vector<std::size_t> loads_;    ///< by rank: bytes to hash, and bytes to convert
    std::vector<std::size_t> owners_;   ///< by file: the rank that hashes it
};

/// The largest first, each to the rank that has least to do.
void Sharing::deal_files() {
    std::vector<std::size_t> order(files_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{},
                             [&](std::size_t file) { return bytes_of(files_[file]); });
    for (auto const file : order) {
        auto const rank = least_loaded();
        owners_[file] = rank;
        shares_[rank][file] = {true, {0, files_[file].tensors.size()}};
        loads_[rank] += 2 * bytes_of(files_[file]);
    }
}

/// From the end of a file to one rank after the other, until each has its even share.
void Sharing::cut_files() {
    for (std::size_t file = 0; file < files_.size(); ++file) {
        auto to = least_loaded();
        while (shares_[to][file].tensors.count == 0 && give_last_tensor(file, to)) {
            while (give_last_tensor(file, to)) {
            }
            to = least_loaded();
        }
    }
}

/// Whether that makes the work more even.
bool Sharing::give_last_tensor(std::size_t file, std::size_t to) {
    auto const from = owners_[file];
    auto& left = shares_[from][file].tensors;
    if (to == from || left.count == 0) return false;
    auto const last = left.end() - 1;
    auto const bytes = files_[file].tensors[last].bytes;
    auto const even = std::accumulate(loads_.begin(), loads_.end(), std::size_t{0}) / loads_.size();
    if (loads_[to] + bytes / 2 > even || loads_[to] + bytes >= loads_[from]) return false;
    auto& given = shares_[to][file].tensors;
    given = {last, given.count + 1};
    --left.count;
    loads_[to] += bytes;
    loads_[from] -= bytes;
    return true;
}

/// The one rank whose share of the file is so.
template <class Predicate>
std::size_t rank_where(std::span<ConvertShare const> shares, std::size_t file,
                       Predicate const& predicate) {
    auto const found = std::ranges::find_if(
        shares, [&](ConvertShare const& share) { return predicate(share[file]); });
    kernels::require(found != shares.end(), "no rank has this part of the checkpoint");
    return static_cast<std::size_t>(found - shares.begin());
}

}  // namespace

std::size_t rank_that_hashes(std::span<ConvertShare const> shares, std::size_t file) {
    return rank_where(shares, file, [](FileShare const& share) { return share.hashes; });
}

std::size_t rank_that_converts(std::span<ConvertShare const> shares, std::size_t file,
                               std::size_t tensor) {
    return rank_where(shares, file, [&](FileShare const& share) {
        return share.tensors.begin <= tensor && tensor < share.tensors.end();
    });
}

std::vector<ConvertShare> share_conversion(std::span<SafetensorsFile const> files, int ranks) {
    Sharing sharing(files, ranks);
    sharing.deal_files();
    sharing.cut_files();
    return sharing.take();
}

std::vector<ConvertShare> share_on_first_node(std::span<SafetensorsFile const> files,
                                              std::span<int const> nodes) {
    auto const workers = std::ranges::count(nodes, nodes.front());
    auto shares = share_conversion(files, static_cast<int>(workers));
    std::vector<ConvertShare> by_rank;
    for (std::size_t rank = 0, worker = 0; rank < nodes.size(); ++rank) {
        bool const works = nodes[rank] == nodes.front();
        by_rank.push_back(works ? std::move(shares[worker++]) : ConvertShare(files.size()));
    }
    return by_rank;
}

std::size_t bytes_read(SafetensorsFile const& file, FileShare const& share) {
    if (share.hashes) return file.version.bytes;
    std::size_t bytes = 0;
    for (auto i = share.tensors.begin; i < share.tensors.end(); ++i) bytes += file.tensors[i].bytes;
    return bytes;
}

}  // namespace tesserank::io
