#include "io/file_error.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace tesserank::io {
namespace {

TEST(FileError, SaysWhatFailedWhyAndWhatToDo) {
    EXPECT_EQ(file_error("out", "written", ENOSPC),
              "out: cannot be written: No space left on device. Free some space, or write to "
              "another folder.");
    EXPECT_EQ(file_error("in", "opened", EMFILE),
              "in: cannot be opened: Too many open files. Allow more open files: ulimit -n.");
    EXPECT_EQ(file_error("in", "opened", ENOENT),
              "in: cannot be opened: No such file or directory");
}

}  // namespace
}  // namespace tesserank::io
