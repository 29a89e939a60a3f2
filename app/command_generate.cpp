#include "app/batch_loop.hpp"
#include "app/command.hpp"

namespace tesserank::app {
namespace {

struct Generate {
    using Request = model::GenerateRequest;
    using Result = model::GenerateResult;
    static constexpr io::Task task = io::Task::generate;
    static auto next(io::RequestReader& reader, std::size_t most) {
        return reader.next_generate(most);
    }
    static auto run(model::Transformer& transformer, parallel::MpiCommunicator& ranks,
                    std::span<Request const> requests, model::BatchTools const& tools) {
        return model::generate(transformer, ranks, requests, tools);
    }
    static std::size_t tokens(Request const& /*request*/, Result const& result) {
        return result.tokens.size();
    }
};

}  // namespace

int run_generate(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    auto const options = parse_run_options("generate", arguments, ranks.rank() == 0);
    if (!options) return exit_code::success;
    return BatchLoop<Generate>(*options, ranks).run();
}

}  // namespace tesserank::app
