#include "io/requests/line_reader.hpp"

#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using namespace std::chrono_literals;

constexpr std::size_t longest_line = 100;

/// Somebody who writes, and has a descriptor to stop the reader by.
class Pipe {
  public:
    Pipe() {
        EXPECT_EQ(pipe(ends_.data()), 0);
        stop_ = eventfd(0, EFD_CLOEXEC);
    }
    ~Pipe() {
        close_writer();
        static_cast<void>(close(ends_[0]));
        static_cast<void>(close(stop_));
    }
    Pipe(Pipe const&) = delete;
    Pipe& operator=(Pipe const&) = delete;

    LineReader reader() const {
        return {"/proc/self/fd/" + std::to_string(ends_[0]), longest_line, stop_};
    }
    void write(std::string_view text) const {
        EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    void stop() const { EXPECT_EQ(eventfd_write(stop_, 1), 0); }
    void close_writer() {
        if (ends_[1] >= 0) static_cast<void>(close(ends_[1]));
        ends_[1] = -1;
    }

  private:
    std::array<int, 2> ends_{};
    int stop_ = -1;
};

TEST(LineReader, MissingFileAndFolderAreRefused) {
    EXPECT_THAT([] { LineReader("/nonexistent/in.jsonl", longest_line); },
                ThrowsMessage<kernels::InputError>(
                    HasSubstr("/nonexistent/in.jsonl: cannot be opened: No such file")));
    EXPECT_THAT([] { LineReader("/", longest_line); },
                ThrowsMessage<kernels::InputError>(HasSubstr("/: is a folder")));
}

TEST(LineReader, GivesTheLinesOfAFile) {
    TemporaryFolder const folder;
    LineReader lines(folder.write("in", "one\n\nthree"), longest_line);
    ASSERT_TRUE(lines.next());
    EXPECT_EQ(lines.text(), "one");
    ASSERT_TRUE(lines.next());
    EXPECT_TRUE(lines.is_blank());
    ASSERT_TRUE(lines.next());
    EXPECT_EQ(lines.text(), "three");
    EXPECT_EQ(lines.line(), 3U);
    EXPECT_FALSE(lines.next());
    EXPECT_FALSE(lines.is_stopped());
}

TEST(LineReader, GivesALineOfAPipeWhenItHasCome) {
    Pipe pipe;
    auto lines = pipe.reader();
    pipe.write("one\ntw");
    ASSERT_TRUE(lines.next());
    EXPECT_EQ(lines.text(), "one");
    pipe.write("o\n");
    ASSERT_TRUE(lines.next());
    EXPECT_EQ(lines.text(), "two");
    pipe.close_writer();
    EXPECT_FALSE(lines.next());
    EXPECT_FALSE(lines.is_stopped());
}

TEST(LineReader, AWaitForAPipeCanBeEnded) {
    Pipe pipe;
    auto lines = pipe.reader();
    pipe.write("one\nhalf");
    ASSERT_TRUE(lines.next());
    std::thread stopper([&] {
        std::this_thread::sleep_for(20ms);
        pipe.stop();
    });
    EXPECT_FALSE(lines.next());
    EXPECT_TRUE(lines.is_stopped());
    stopper.join();
    pipe.write(" a line\n");
    EXPECT_FALSE(lines.next());
}

TEST(LineReader, AFileIsReadToItsEndThoughItIsToStop) {
    TemporaryFolder const folder;
    int const stopped = eventfd(1, EFD_CLOEXEC);
    LineReader lines(folder.write("in", "one\n"), longest_line, stopped);
    EXPECT_TRUE(lines.next());
    EXPECT_FALSE(lines.next());
    EXPECT_FALSE(lines.is_stopped());
    static_cast<void>(close(stopped));
}

}  // namespace
}  // namespace tesserank::io
