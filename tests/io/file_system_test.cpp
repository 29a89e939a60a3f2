#include "io/model_file/file_system.hpp"

#include "kernels/error.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdint>

namespace tesserank::io {
namespace {

TEST(FileSystem, WhereWholePagesAreSentOneNodeWrites) {
    for (std::uint64_t const magic : {0x6969U, 0x517BU, 0xFF534D42U, 0xFE534D42U, 0x01021997U}) {
        EXPECT_EQ(writing_on(magic), Writing::one_node) << std::hex << magic;
    }
    EXPECT_EQ(writing_on(0xFFFFFFFFFF534D42U), Writing::one_node) << "CIFS, with a sign";
}

TEST(FileSystem, ParallelAndLocalOnesAreWrittenByAllNodes) {
    constexpr auto lustre = 0x0BD00BD0U, gpfs = 0x47504653U, beegfs = 0x19830326U;
    constexpr auto ext4 = 0xEF53U, tmpfs = 0x01021994U;
    for (std::uint64_t const magic : {lustre, gpfs, beegfs, ext4, tmpfs}) {
        EXPECT_EQ(writing_on(magic), Writing::all_nodes) << std::hex << magic;
    }
}

TEST(FileSystem, AnOpenFileTells) {
    constexpr std::uint64_t proc = 0x9FA0;
    int const file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(file_system_magic(file, "status"), proc);
    close(file);
    EXPECT_THAT([] { file_system_magic(-1, "m.h5"); },
                ::testing::ThrowsMessage<kernels::SystemError>(::testing::HasSubstr("m.h5: ")));
}

}  // namespace
}  // namespace tesserank::io
