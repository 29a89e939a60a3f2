#include "parallel/agree.hpp"

#include "kernels/error.hpp"
#include "parallel/whereabouts.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

namespace tesserank::parallel {
namespace {

using kernels::InputError;
using kernels::LogicError;
using kernels::SystemError;

class AgreeTest : public test::MpiTest {
  protected:
    /// The message with which agree() throws exactly an `Error`; nothing when it does not.
    template <class Error>
    std::optional<std::string> message_of(std::function<void()> const& work) {
        try {
            agree(world, work);
        } catch (Error const& error) {
            EXPECT_NE(dynamic_cast<Agreed const*>(&error), nullptr);
            return error.what();
        } catch (std::exception const& error) {
            ADD_FAILURE() << "another kind of error: " << error.what();
        }
        return std::nullopt;
    }
    /// A collective that gives a wrong answer, or none, when the ranks are out of step.
    void expect_in_step() { EXPECT_EQ(world.all_sum(world.rank() + 1), triangle()); }
    int triangle() const { return world.size() * (world.size() + 1) / 2; }
    int last() const { return world.size() - 1; }
    std::string from(int rank, std::string const& text) const {
        return world.size() == 1 ? text : rank_and_place(rank) + ": " + text;
    }
};

TEST_F(AgreeTest, RunsTheWorkOnceOnEveryRank) {
    int runs = 0;
    agree(world, [&] { ++runs; });
    EXPECT_EQ(runs, 1);
    expect_in_step();
}

TEST_F(AgreeTest, OneRanksErrorBecomesEveryones) {
    for (int failing = 0; failing < world.size(); ++failing) {
        auto const message = message_of<InputError>([&] {
            if (world.rank() == failing) throw InputError("no such file");
        });
        EXPECT_EQ(message, from(failing, "no such file"));
        expect_in_step();
    }
}

TEST_F(AgreeTest, KeepsTheKindOfError) {
    EXPECT_EQ(message_of<InputError>([] { throw InputError("a"); }), "a");
    EXPECT_EQ(message_of<SystemError>([] { throw SystemError("b"); }), "b");
    EXPECT_EQ(message_of<LogicError>([] { throw LogicError("c"); }), "c");
    EXPECT_EQ(message_of<SystemError>([] { throw std::out_of_range("d"); }), "d");
    EXPECT_EQ(message_of<SystemError>([] { throw 5; }), "an exception without a message");
    EXPECT_EQ(message_of<InputError>([] { throw InputError(""); }), "unknown error");
    expect_in_step();
}

TEST_F(AgreeTest, ReportsTheLowestFailingRankWhenTheWordsDiffer) {
    if (world.size() == 1) GTEST_SKIP() << "needs two ranks";
    auto const message = message_of<SystemError>([&] {
        if (world.rank() == last()) throw InputError("the last");
        if (world.rank() == last() - 1) throw SystemError("the one before");
    });
    EXPECT_EQ(message, from(last() - 1, "the one before"));
    expect_in_step();
}

TEST_F(AgreeTest, NamesARankWhenNotAllFailedWithTheSameWords) {
    if (world.size() == 1) GTEST_SKIP() << "one rank is all ranks";
    EXPECT_EQ(message_of<InputError>([&] {
                  if (world.rank() != last()) throw InputError("words");
              }),
              from(0, "words"));
    EXPECT_EQ(message_of<InputError>(
                  [&] { throw InputError(world.rank() == last() ? "wordz" : "words"); }),
              from(0, "words"));
    expect_in_step();
}

TEST_F(AgreeTest, CarriesLongMessagesByteForByte) {
    std::string const text = "first line\n\xC3\xA4\xE2\x82\xAC\n" + std::string(3'000'000, 'y');
    auto const message = message_of<InputError>([&] {
        if (world.rank() == last()) throw InputError(text);
    });
    EXPECT_TRUE(message == from(last(), text));
    expect_in_step();
}

TEST_F(AgreeTest, LongWorkGoesOnUntilItIsDone) {
    int rounds = 0;
    agree_early(world, [&](std::function<bool()> const& goes_on) {
        while (rounds < 1000 && goes_on()) ++rounds;
    });
    EXPECT_EQ(rounds, 1000);
    expect_in_step();
}

TEST_F(AgreeTest, LongWorkEndsEverywhereWhenOneRankFails) {
    for (int failing : {0, last()}) {
        try {
            // That it ends at all is the test: the others' work is endless.
            agree_early(world, [&](std::function<bool()> const& goes_on) {
                if (world.rank() == failing) throw InputError("no such file");
                while (goes_on()) {
                }
            });
            ADD_FAILURE() << "no error";
        } catch (InputError const& error) {
            EXPECT_EQ(error.what(), from(failing, "no such file"));
        }
        expect_in_step();
    }
}

}  // namespace
}  // namespace tesserank::parallel
