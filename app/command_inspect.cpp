#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/report.hpp"

#include <iostream>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

Grammar grammar() {
    Grammar grammar{"inspect", {"MODEL.h5"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("tensors", "one line for each tensor; by default like tensors of the layers share a line");
    add("json", "everything as one JSON object, for programs");
    return grammar;
}

}  // namespace

int run_inspect(std::span<std::string const> arguments) {
    auto const values = parse_arguments(grammar(), arguments);
    if (!values) return exit_code::success;
    auto const index = io::read_model_index((*values)["MODEL.h5"].as<std::string>());
    if (values->contains("json")) {
        std::cout << io::model_report_json(index) << '\n';
    } else {
        std::cout << io::model_report(
            index, values->contains("tensors") ? io::TensorRows::single : io::TensorRows::grouped);
    }
    return exit_code::success;
}

}  // namespace tesserank::app
