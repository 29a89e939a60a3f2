#include "app/watch_options.hpp"

#include "app/arguments.hpp"
#include "app/exit_code.hpp"

#include <limits>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

constexpr double head_start_seconds = 10.0;
NumberRange const timeouts{0, 1LL << 31, "0 to 2^31"};

}  // namespace

double WatchOptions::queue_seconds() const {
    if (collective_timeout == 0) return std::numeric_limits<double>::infinity();
    return static_cast<double>(collective_timeout) + head_start_seconds;
}

void add_watch_options(po::options_description& options, WatchOptions& watch) {
    auto add = options.add_options();
    add("collective-timeout", po::value<long long>()->value_name("SECONDS"),
        "end the job when ranks wait for each other and none makes progress for so long (120); 0: "
        "never");
    add("collective-log", po::value<std::string>()->value_name("FILE"),
        "where the last collectives of all ranks are written then; by default beside the output");
    add("check-collectives", po::bool_switch(&watch.check_collectives),
        "compare every collective over all ranks before it begins; slow, to find mistakes");
}

void read_watch_options(po::variables_map const& values, std::string const& output,
                        WatchOptions& watch) {
    watch.collective_timeout =
        number_in(values, "collective-timeout", timeouts).value_or(watch.collective_timeout);
    if (!output.empty() && output != "-") watch.collective_log = output + ".collectives.txt";
    if (values.contains("collective-log"))
        watch.collective_log = values["collective-log"].as<std::string>();
}

parallel::Watchdog watch_over(parallel::MpiCommunicator& ranks, WatchOptions const& options) {
    if (options.check_collectives) ranks.check_collectives();
    return {ranks,
            {.seconds = static_cast<double>(options.collective_timeout),
             .log_path = options.collective_log,
             .exit_status = exit_code::failure}};
}

}  // namespace tesserank::app
