#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_session.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <iostream>
#include <string>

namespace tesserank {
namespace {

/// The only listener of ranks above 0: silent unless something fails.
class FailurePrinter : public ::testing::EmptyTestEventListener {
  public:
    explicit FailurePrinter(int rank) : prefix_{"rank " + std::to_string(rank) + ": "} {}

  private:
    void OnTestPartResult(::testing::TestPartResult const& result) override {
        if (!result.failed()) return;
        char const* const file = result.file_name() == nullptr ? "?" : result.file_name();
        // One call, so that the ranks' lines do not mix.
        std::cerr << prefix_ + file + ":" + std::to_string(result.line_number()) + ": " +
                         result.message() + "\n";
    }
    std::string prefix_;
};

void leave_printing_to_rank_0(int rank) {
    if (rank == 0) return;
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
    listeners.Append(new FailurePrinter(rank));
}

int run_tests() {
    auto world = parallel::MpiCommunicator::world();
    leave_printing_to_rank_0(world.rank());
    try {
        int const failed = RUN_ALL_TESTS();
        return world.all_sum(failed) == 0 ? 0 : 1;
    } catch (std::exception const& error) {
        // The other ranks may wait for this one.
        std::cerr << "rank " + std::to_string(world.rank()) + ": " + error.what() + "\n";
        parallel::MpiSession::abort(1);
    }
}

}  // namespace
}  // namespace tesserank

int main(int argc, char** argv) {
    tesserank::parallel::MpiSession session(argc, argv);
    ::testing::InitGoogleTest(&argc, argv);
    // An exception must end the job: a rank that went on to the next test would strand the others.
    ::testing::GTEST_FLAG(catch_exceptions) = false;
    return tesserank::run_tests();
}
