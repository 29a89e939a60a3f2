#include "kernels/host_memory.hpp"
#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace tesserank::kernels {
namespace {

using MemoryTest = BackendTest;

TensorView bytes_view(std::byte* data, std::size_t rows, std::size_t cols, std::size_t stride) {
    return {{data, DType::f8e4m3, rows, cols, stride}};
}

TEST_P(MemoryTest, AllocatesZeroedAlignedMemory) {
    for (std::size_t const bytes :
         Sizes{1, 63, 64, 4097, (4U << 20U) - 1, 4U << 20U, (5U << 20U) + 3}) {
        Buffer const buffer = backend->allocate(bytes);
        ASSERT_NE(buffer, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.get()) % 64, 0U);
        EXPECT_EQ(buffer.get_deleter().bytes, bytes);
        std::vector<std::byte> content(bytes, std::byte{1});
        backend->copy_to_host(buffer.get(), content);
        EXPECT_TRUE(std::all_of(content.begin(), content.end(),
                                [](std::byte value) { return value == std::byte{0}; }));
        std::fill(content.begin(), content.end(), std::byte{7});
        backend->copy_from_host(content, buffer.get());
        backend->synchronize();
        std::vector<std::byte> back(bytes);
        backend->copy_to_host(buffer.get(), back);
        EXPECT_EQ(back, content);
    }
}

TEST_P(MemoryTest, StagingMemoryReachesTheDeviceByTheNextWait) {
    EXPECT_EQ(backend->allocate_staging(0), nullptr);
    for (std::size_t const bytes : Sizes{1, 4097, (9U << 20U) + 5}) {
        Buffer const staging = backend->allocate_staging(bytes);
        std::span const source(staging.get(), bytes);
        for (std::size_t i = 0; i < bytes; ++i) source[i] = static_cast<std::byte>(i * 31);
        Buffer const buffer = backend->allocate(bytes);
        backend->copy_from_staging(bytes_view(source.data(), 1, bytes, bytes),
                                   bytes_view(buffer.get(), 1, bytes, bytes));
        backend->synchronize();
        std::vector<std::byte> const expected(source.begin(), source.end());
        std::ranges::fill(source, std::byte{0});
        std::vector<std::byte> back(bytes);
        backend->copy_to_host(buffer.get(), back);
        EXPECT_EQ(back, expected);
    }
}

/// A cut of columns, as loading makes it, and a row with a stride that means nothing.
TEST_P(MemoryTest, RectanglesOfStagingMemoryFindTheirPlaces) {
    constexpr std::size_t rows = 7, cols = 5, source_stride = 11, stride = 6;
    Buffer const staging = backend->allocate_staging(rows * source_stride);
    for (std::size_t i = 0; i < rows * source_stride; ++i) {
        staging.get()[i] = static_cast<std::byte>(i + 1);
    }
    Buffer const buffer = backend->allocate(rows * stride);
    backend->copy_from_staging(bytes_view(staging.get() + 2, rows - 1, cols, source_stride),
                               bytes_view(buffer.get(), rows - 1, cols, stride));
    backend->copy_from_staging(bytes_view(staging.get(), 1, cols, 1),
                               bytes_view(buffer.get() + (rows - 1) * stride, 1, cols, 0));
    backend->copy_from_staging(bytes_view(staging.get(), rows, 0, source_stride),
                               bytes_view(buffer.get(), rows, 0, stride));
    backend->synchronize();
    std::vector<std::byte> back(rows * stride);
    backend->copy_to_host(buffer.get(), back);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t col = 0; col < stride; ++col) {
            std::size_t const from = row + 1 == rows ? col : row * source_stride + 2 + col;
            EXPECT_EQ(back[row * stride + col], static_cast<std::byte>(col < cols ? from + 1 : 0))
                << row << ", " << col;
        }
    }
}

TEST_P(MemoryTest, ZeroBytesAreNull) {
    EXPECT_EQ(backend->allocate(0), nullptr);
    Tensor const empty = make_tensor(*backend, DType::bf16, 0, 5);
    EXPECT_EQ(empty.view.data, nullptr);
    EXPECT_EQ(empty.view.cols, 5U);
}

TEST_P(MemoryTest, AskingForTooMuchNamesTheBytes) {
    try {
        backend->allocate(std::size_t{1} << 60U);
        FAIL() << "no error";
    } catch (SystemError const& error) {
        EXPECT_NE(std::string(error.what()).find("1152921504606846976"), std::string::npos)
            << error.what();
    }
}

TEST_P(MemoryTest, SomeMemoryIsAvailable) {
    EXPECT_GT(backend->memory_available(), std::size_t{1} << 20U);
    EXPECT_LT(backend->memory_available(), std::size_t{1} << 50U);
}

INSTANTIATE_TEST_SUITE_P(Backends, MemoryTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

/// A folder that looks like /proc and /sys of some machine.
class MachineTest : public ::testing::Test {
  protected:
    MachineTest() {
        for (auto const* name : slurm_variables) unsetenv(name);
        write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\n");
    }
    ~MachineTest() override {
        for (auto const* name : slurm_variables) unsetenv(name);
        heed_slurm_memory(true);
        std::filesystem::remove_all(root_);
    }

    void write(std::string const& path, std::string const& text) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    std::size_t available() const { return host_memory_available(root_); }
    std::string limit() const { return host_memory_left(root_).limit; }
    /// Of a step of a Slurm job, and 100 KiB of this process.
    void be_a_step(std::map<char const*, char const*> const& variables) {
        write("proc/self/status",
              "VmHWM: 300 kB\nVmRSS: 200 kB\nRssAnon: 70 kB\nRssFile: 100 kB\n"
              "RssShmem: 30 kB\n");
        setenv("SLURM_PROCID", "1", 1);
        for (auto const& [name, value] : variables) setenv(name, value, 1);
    }

  private:
    static constexpr std::array slurm_variables{
        "SLURM_PROCID",       "SLURM_NODEID",       "SLURM_STEP_TASKS_PER_NODE",
        "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU",  "SLURM_MEM_PER_GPU",
        "SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE"};
    std::filesystem::path root_ = std::filesystem::path(::testing::TempDir()) /
                                  ("tesserank_machine_" + std::to_string(std::random_device{}()));
};

TEST_F(MachineTest, WithoutControlGroupsTheMachineDecides) {
    EXPECT_EQ(available(), 8192000U);
    EXPECT_EQ(limit(), "the machine");
}

TEST_F(MachineTest, TheTightestGroupOfVersion2Decides) {
    write("proc/self/cgroup", "0::/job/step\n");
    write("sys/fs/cgroup/job/memory.max", "5000000\n");
    write("sys/fs/cgroup/job/memory.current", "2000000\n");
    write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 300000\nactive_file 200000\n");
    write("sys/fs/cgroup/job/step/memory.max", "max\n");
    write("sys/fs/cgroup/job/step/memory.current", "2000000\n");
    EXPECT_EQ(available(), 3500000U) << "files in memory can be dropped";
    EXPECT_EQ(limit(), "control group /job (v2)");
    write("sys/fs/cgroup/job/step/memory.max", "2500000\n");
    EXPECT_EQ(available(), 500000U);
    EXPECT_EQ(limit(), "control group /job/step (v2)");
    write("sys/fs/cgroup/job/step/memory.max", "1000\n");
    EXPECT_EQ(available(), 0U) << "more is used than allowed";
}

TEST_F(MachineTest, InAContainerTheLimitStandsAtTheTop) {
    write("proc/self/cgroup", "0::/somewhere/outside\n");
    write("sys/fs/cgroup/memory.max", "3000000\n");
    write("sys/fs/cgroup/memory.current", "1000000\n");
    EXPECT_EQ(available(), 2000000U);
    EXPECT_EQ(limit(), "control group / (v2)");
}

TEST_F(MachineTest, Version1HasOtherNames) {
    write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/slurm/job_1\n0::/\n");
    write("sys/fs/cgroup/memory/slurm/job_1/memory.limit_in_bytes", "4000000\n");
    write("sys/fs/cgroup/memory/slurm/job_1/memory.usage_in_bytes", "1000000\n");
    write("sys/fs/cgroup/memory/slurm/job_1/memory.stat",
          "inactive_file 1\ntotal_inactive_file 100000\ntotal_active_file 0\n");
    EXPECT_EQ(available(), 3100000U);
    EXPECT_EQ(limit(), "control group /slurm/job_1 (v1)");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
    EXPECT_EQ(available(), 3100000U);
}

TEST_F(MachineTest, ASlurmJobsMemoryIsALimitWithoutControlGroupsToo) {
    be_a_step({{"SLURM_MEM_PER_NODE", "4"},
               {"SLURM_STEP_TASKS_PER_NODE", "1(x2),3"},
               {"SLURM_NODEID", "2"}});
    EXPECT_EQ(available(), (4U << 20U) - 3 * 102400)
        << "the step's three ranks here hold as much each";
    EXPECT_EQ(limit(), "SLURM_MEM_PER_NODE");
    setenv("SLURM_NODEID", "1", 1);
    EXPECT_EQ(available(), (4U << 20U) - 102400);
    setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "2", 1);
    EXPECT_EQ(available(), (4U << 20U) - 2 * 102400) << "mpirun within the job";
}

TEST_F(MachineTest, MemoryPerCpuCountsTheCpusOfTheNode) {
    be_a_step({{"SLURM_MEM_PER_CPU", "2"}, {"SLURM_CPUS_ON_NODE", "3"}});
    EXPECT_EQ(available(), (6U << 20U) - 102400);
    EXPECT_EQ(limit(), "SLURM_MEM_PER_CPU");
    setenv("SLURM_MEM_PER_GPU", "1", 1);
    setenv("SLURM_GPUS_ON_NODE", "5", 1);
    EXPECT_EQ(limit(), "SLURM_MEM_PER_GPU");
}

TEST_F(MachineTest, SlurmVariablesMeanNothingOutsideOfAStepAndZeroMeansNoLimit) {
    be_a_step({{"SLURM_MEM_PER_NODE", "0"}});
    EXPECT_EQ(limit(), "the machine");
    setenv("SLURM_MEM_PER_NODE", "1", 1);
    EXPECT_EQ(limit(), "SLURM_MEM_PER_NODE");
    unsetenv("SLURM_PROCID");
    EXPECT_EQ(limit(), "the machine") << "a shell of salloc";
}

TEST_F(MachineTest, WithoutTheJobsMemoryThatOfTheMachineAndOfControlGroupsCounts) {
    be_a_step({{"SLURM_MEM_PER_NODE", "1"}});
    heed_slurm_memory(false);
    EXPECT_EQ(limit(), "the machine");
    write("proc/self/cgroup", "0::/job\n");
    write("sys/fs/cgroup/job/memory.max", "5000000\n");
    write("sys/fs/cgroup/job/memory.current", "2000000\n");
    EXPECT_EQ(limit(), "control group /job (v2)");
    heed_slurm_memory(true);
    EXPECT_EQ(limit(), "SLURM_MEM_PER_NODE");
}

TEST_F(MachineTest, AProcessKnowsTheMostMemoryThatItHasHeld) {
    auto const before = process_memory_peak();
    constexpr std::size_t bytes = std::size_t{64} << 20U;
    EXPECT_GT(before, std::size_t{1} << 20U);
    EXPECT_EQ(std::vector<char>(bytes, 'x').back(), 'x');
    EXPECT_GE(process_memory_peak(), before + bytes / 2);
    EXPECT_LE(process_memory_peak(), before + 2 * bytes);
}

}  // namespace
}  // namespace tesserank::kernels
