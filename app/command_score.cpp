#include "app/batch_loop.hpp"
#include "app/command.hpp"

namespace tesserank::app {
namespace {

struct Score {
    using Request = model::ScoreRequest;
    using Result = model::ScoreResult;
    static constexpr io::Task task = io::Task::score;
    static auto next(io::RequestReader& reader, std::size_t most) {
        return reader.next_score(most);
    }
    static auto run(model::Transformer& transformer, parallel::MpiCommunicator& ranks,
                    std::span<Request const> requests, model::BatchTools const& tools) {
        return model::score(transformer, ranks, requests, tools);
    }
    static std::size_t tokens(Request const& request, Result const& /*result*/) {
        return request.prompt.size() + request.completion.size();
    }
};

}  // namespace

int run_score(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    auto const options = parse_run_options("score", arguments, ranks.rank() == 0);
    if (!options) return exit_code::success;
    return BatchLoop<Score>(*options, ranks).run();
}

}  // namespace tesserank::app
