#include "io/model_file/convert.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"
#include "parallel/agreed.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <mpi.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::Phase;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// What the calls below have seen, and what they are to pretend.
struct Machine {
    std::vector<Phase::Pace> syncs;  ///< the pace of the phase of each fsync()
    bool has_nfs = false;
    bool has_two_nodes = false;  ///< which take turns
};
Machine& machine() {
    static Machine the_only;
    return the_only;
}

}  // namespace
}  // namespace tesserank::io

// NOLINTBEGIN(readability-identifier-naming): names and parameters are the system's and MPI's.
extern "C" int fsync(int descriptor) {
    tesserank::io::machine().syncs.push_back(tesserank::kernels::Phase::pace());
    return static_cast<int>(syscall(SYS_fsync, descriptor));
}
extern "C" int fstatfs(int descriptor, struct statfs* status) noexcept {
    auto const result = static_cast<int>(syscall(SYS_fstatfs, descriptor, status));
    constexpr decltype(status->f_type) nfs = 0x6969;
    if (tesserank::io::machine().has_nfs) status->f_type = nfs;
    return result;
}
extern "C" int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info,
                                   MPI_Comm* part) {
    if (!tesserank::io::machine().has_two_nodes) {
        return PMPI_Comm_split_type(comm, type, key, info, part);
    }
    return PMPI_Comm_split(comm, key % 2, key, part);
}
// NOLINTEND(readability-identifier-naming)

namespace tesserank::io {
namespace {

std::string const golden = TESSERANK_SOURCE_DIR "/tests/golden/models/";

/// A conversion by all ranks of the job.
class ConvertRanks : public test::MpiTest {
  protected:
    ConvertRanks() {
        if (world.rank() == 0) folder_.emplace();
        path_ = world.broadcast_text(world.rank() == 0 ? folder_->path("") : "", 0);
    }
    /// In a folder that all ranks share.
    std::string path(std::string const& name) const { return path_ + name; }
    std::string content(std::string const& name) const {
        std::ostringstream text;
        text << std::ifstream(path(name), std::ios::binary).rdbuf();
        return text.str();
    }
    /// The message with which the conversion ends on every rank.
    std::string error_of(ConvertOptions const& options) {
        std::string message = "no error";
        try {
            convert_checkpoint(options, &world);
        } catch (std::exception const& error) {
            EXPECT_NE(dynamic_cast<parallel::Agreed const*>(&error), nullptr);
            message = error.what();
        }
        EXPECT_EQ(message, world.broadcast_text(message, 0));
        return message;
    }
    int last() const { return world.size() - 1; }

  private:
    std::optional<TemporaryFolder> folder_;
    std::string path_;
};

TEST_F(ConvertRanks, TheFileIsThatOfOneProcess) {
    for (std::string const model : {"llama-gqa-rope3", "mistral-swa8", "internvl-hf"}) {
        for (auto const dtype :
             {std::optional<kernels::DType>(), std::optional(kernels::DType::bf16)}) {
            ConvertOptions options{.source_folder = golden + model,
                                   .model_path = path("ranks.h5"),
                                   .dtype = dtype,
                                   .existing = Existing::replace};
            auto const report = convert_checkpoint(options, &world);
            if (world.rank() == 0) {
                options.model_path = path("one.h5");
                auto const expected = convert_checkpoint(options);
                EXPECT_EQ(report.tensors, expected.tensors);
                EXPECT_EQ(report.elements, expected.elements);
                EXPECT_EQ(report.source_bytes, expected.source_bytes);
            }
            world.barrier();
            EXPECT_EQ(content("ranks.h5"), content("one.h5")) << model;
            world.barrier();
        }
    }
}

TEST_F(ConvertRanks, ProgressEndsAtTheWholeOnEveryRankThatReads) {
    std::size_t last_done = 0, whole = 0;
    convert_checkpoint({.source_folder = golden + "llama-gqa-rope3",
                        .model_path = path("m.h5"),
                        .progress =
                            [&](std::size_t done, std::size_t total) {
                                EXPECT_GE(done, last_done);
                                EXPECT_LE(done, total);
                                last_done = done;
                                whole = total;
                            }},
                       &world);
    EXPECT_EQ(last_done, whole);
    EXPECT_TRUE(world.rank() >= 3 || whole > 0);
}

TEST_F(ConvertRanks, TheDiskMayTakeItsTimeInTheEnd) {
    machine().syncs.clear();
    convert_checkpoint({.source_folder = golden + "llama-gqa-rope3", .model_path = path("m.h5")},
                       &world);
    EXPECT_THAT(machine().syncs, Not(IsEmpty()));
    EXPECT_THAT(machine().syncs, Each(Phase::Pace::open)) << "the watchdog would end the job";
}

TEST_F(ConvertRanks, OnNfsOneNodeDoesAll) {
    machine().has_nfs = machine().has_two_nodes = true;
    auto ranks = parallel::MpiCommunicator::world();
    machine().has_two_nodes = false;
    bool has_read = false;
    ConvertOptions options{.source_folder = golden + "llama-gqa-rope3",
                           .model_path = path("ranks.h5"),
                           .progress = [&](std::size_t, std::size_t) { has_read = true; }};
    convert_checkpoint(options, &ranks);
    machine().has_nfs = false;
    EXPECT_TRUE(!has_read || ranks.rank() % 2 == 0) << "rank " << ranks.rank();
    EXPECT_TRUE(has_read || ranks.rank() != 0);
    options.model_path = path("one.h5");
    if (world.rank() == 0) convert_checkpoint(options);
    world.barrier();
    EXPECT_EQ(content("ranks.h5"), content("one.h5"));
    world.barrier();
}

TEST_F(ConvertRanks, OneRanksErrorEndsAllAndLeavesNothing) {
    for (int failing = 0; failing < std::min(world.size(), 3); ++failing) {
        auto const message = error_of({.source_folder = golden + "llama-gqa-rope3",
                                       .model_path = path("m.h5"),
                                       .progress = [&](std::size_t, std::size_t) {
                                           if (world.rank() == failing)
                                               throw kernels::InputError("the disk is on fire");
                                       }});
        EXPECT_THAT(message, HasSubstr("the disk is on fire"));
        if (world.size() > 1) {
            EXPECT_THAT(message, HasSubstr("rank " + std::to_string(failing) + " ("));
        }
        EXPECT_FALSE(std::filesystem::exists(path("m.h5")));
        EXPECT_FALSE(std::filesystem::exists(path("m.h5.partial")));
        world.barrier();
    }
}

TEST_F(ConvertRanks, RanksHaveToSeeTheSameFiles) {
    if (world.size() == 1) return;
    auto const own = path(world.rank() == last() ? "other.h5" : "m.h5");
    EXPECT_THAT(error_of({.source_folder = golden + "llama-gqa-rope3", .model_path = own}),
                HasSubstr("other.h5: cannot be written by every rank"));
    if (world.rank() == 0) std::ofstream(path("other.h5.partial")) << "another file";
    world.barrier();
    EXPECT_THAT(error_of({.source_folder = golden + "llama-gqa-rope3", .model_path = own}),
                HasSubstr("it is another file here. All ranks have to see the same folder"));
    auto const source = golden + (world.rank() == last() ? "mistral-swa8" : "llama-gqa-rope3");
    EXPECT_THAT(error_of({.source_folder = source, .model_path = path("m.h5")}),
                HasSubstr("mistral-swa8: holds something else than on rank 0"));
    EXPECT_FALSE(std::filesystem::exists(path("m.h5.partial")));
    world.barrier();
}

TEST_F(ConvertRanks, RanksHaveToConvertAlike) {
    if (world.size() == 1) return;
    auto const last_ones =
        world.rank() == last() ? std::optional(kernels::DType::bf16) : std::nullopt;
    EXPECT_THAT(error_of({.source_folder = golden + "llama-gqa-rope3",
                          .model_path = path("m.h5"),
                          .dtype = last_ones}),
                HasSubstr("something else than on rank 0"));
}

TEST_F(ConvertRanks, WhatRankZeroFindsWrongIsEveryonesError) {
    EXPECT_THAT(error_of({.source_folder = golden + "no-such-model", .model_path = path("m.h5")}),
                HasSubstr("no-such-model: is not a folder"));
    ConvertOptions const options{.source_folder = golden + "mistral-swa8",
                                 .model_path = path("m.h5")};
    EXPECT_EQ(error_of(options), "no error");
    EXPECT_THAT(error_of(options), HasSubstr("exists already; --force replaces it"));
}

}  // namespace
}  // namespace tesserank::io
