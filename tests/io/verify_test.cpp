#include "io/model_file/verify.hpp"

#include "kernels/error.hpp"
#include "parallel/agree.hpp"
#include "tests/io/model_file_fixture.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <optional>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Verify : public test::MpiTest {
  protected:
    std::string small_model() {
        if (world.rank() == 0) folder.emplace();
        auto const path = world.broadcast_text(world.rank() == 0 ? folder->path("m.h5") : "", 0);
        parallel::agree(world, [&] {
            if (world.rank() == 0) write_small_model(path);
        });
        return path;
    }
    std::optional<TemporaryFolder> folder;  ///< on rank 0
};

TEST_F(Verify, FindsNothingInAGoodFile) {
    auto const index = open_model(small_model(), world);
    std::size_t done = 0;
    std::size_t total = 0;
    auto const report = verify_model(index, world, [&](std::size_t now, std::size_t all) {
        done = now;
        total = all;
    });
    EXPECT_THAT(report.damaged, IsEmpty());
    EXPECT_EQ(report.blocks, 4U);
    EXPECT_EQ(done, total);
    EXPECT_EQ(world.all_sum(static_cast<long long>(done)), static_cast<long long>(report.bytes));
}

TEST_F(Verify, NamesEveryDamagedTensorOnAllRanks) {
    auto const path = small_model();
    auto const index = open_model(path, world);
    parallel::agree(world, [&] {
        if (world.rank() != 0) return;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        for (auto const& tensor : {find(index, "t3"), find(index, "t2")}) {
            file.seekp(static_cast<std::streamoff>(tensor.offset + tensor.bytes - 1));
            file.put('\x55');
        }
    });
    auto damaged = verify_model(index, world).damaged;
    std::ranges::sort(damaged);
    EXPECT_THAT(damaged, ElementsAre("tensor t2, rows 0 to 10", "tensor t3, rows 0 to 199"));
}

TEST_F(Verify, AShorterFileIsEveryRanksError) {
    auto const path = small_model();
    auto const index = open_model(path, world);
    if (world.rank() == 0) std::filesystem::resize_file(path, 100);
    world.barrier();
    EXPECT_THROW(verify_model(index, world), kernels::InputError);
}

}  // namespace
}  // namespace tesserank::io
