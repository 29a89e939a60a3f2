#pragma once

#include "io/model_file/model_index.hpp"
#include "kernels/backend.hpp"
#include "parallel/agree.hpp"
#include "parallel/partition.hpp"
#include "tests/io/model_file_fixture.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/support/mpi_test.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::io {

inline constexpr std::byte untouched{0xEE};

/// One request, the memory for it, and what must be in it afterwards.
struct Wanted {
    model::WeightRequest request;
    std::vector<std::byte> memory, expected;
};

/// Model files of known bytes, and requests for them.
class WeightSourceTest : public test::MpiTest {
  protected:
    /// The same file for all ranks.
    std::string shared_path() {
        if (world.rank() == 0) folder.emplace();
        return world.broadcast_text(world.rank() == 0 ? folder->path("m.h5") : "", 0);
    }

    std::string small_model() {
        auto const path = shared_path();
        parallel::agree(world, [&] {
            if (world.rank() == 0) write_small_model(path);
        });
        return path;
    }

    std::vector<model::Region> regions(std::function<model::Region(int)> const& of) const {
        std::vector<model::Region> result;
        for (int rank = 0; rank < world.size(); ++rank) result.push_back(of(rank));
        return result;
    }
    std::vector<model::Region> by_rows(std::size_t rows, std::size_t cols) const {
        parallel::Partition const cut(rows, world.size());
        return regions([&](int rank) { return model::Region{cut.of(rank), {0, cols}}; });
    }
    std::vector<model::Region> by_cols(std::size_t rows, std::size_t cols) const {
        parallel::Partition const cut(cols, world.size());
        return regions([&](int rank) { return model::Region{{0, rows}, cut.of(rank)}; });
    }
    std::vector<model::Region> everywhere(std::size_t rows, std::size_t cols) const {
        return regions([&](int) { return model::Region{{0, rows}, {0, cols}}; });
    }

    /// A request for a tensor that was written with pattern(seed), into rows with `gap` elements
    /// between them.
    Wanted want(ModelIndex const& index, std::string const& name, int seed,
                std::vector<model::Region> const& cut, std::size_t gap = 0) const {
        auto const& tensor = find(index, name);
        auto const& mine = cut[static_cast<std::size_t>(world.rank())];
        auto const size = kernels::size_of(tensor.dtype);
        auto const stride = mine.cols.count + gap;
        auto const whole = pattern(tensor.bytes, seed);
        Wanted wanted{{name, cut, {}}, {}, {}};
        wanted.memory.assign(mine.rows.count * stride * size, untouched);
        wanted.expected = wanted.memory;
        for (std::size_t row = 0; row < mine.rows.count; ++row) {
            auto const from = ((mine.rows.begin + row) * tensor.cols() + mine.cols.begin) * size;
            std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(from), mine.cols.count * size,
                        wanted.expected.begin() + static_cast<std::ptrdiff_t>(row * stride * size));
        }
        wanted.request.destination =
            kernels::TensorView{{nullptr, tensor.dtype, mine.rows.count, mine.cols.count, stride}};
        return wanted;
    }

    void load_and_compare(model::WeightSource& source, std::vector<Wanted> wanted) {
        std::vector<model::WeightRequest> requests;
        for (auto& one : wanted) {
            one.request.destination.data = one.memory.data();
            requests.push_back(one.request);
        }
        source.load(requests);
        for (auto const& one : wanted) {
            EXPECT_TRUE(one.memory == one.expected) << one.request.tensor;
        }
    }

    std::optional<TemporaryFolder> folder;  ///< on rank 0
    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
};

}  // namespace tesserank::io
