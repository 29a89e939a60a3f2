#pragma once

#include "model/machine.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Where and when a machine was measured.
struct MachineOrigin {
    std::vector<std::string> hosts;  ///< one for each node
    std::string backend;
    std::string time;  ///< for people: "2026-03-01T12:00:00Z"
    bool operator==(MachineOrigin const&) const = default;
};

struct MachineFile {
    model::Machine machine;
    MachineOrigin origin;
};

/// A machine as JSON, one measured point a line:
///
///     {"format": "tesserank-machine", "format_version": 1, "ranks": 2, "nodes": 1, "hosts": ["a"],
///     "backend": "kokkos", "time": "2026-03-01T12:00:00Z",
///     "gemm": [
///     {"weight": "f32", "input": "f32", "rows": 1, "outputs": 512, "inputs": 512, "busy": "all",
///     "seconds": 3.1e-05},
///     ...],
///     "attention": [...], "pass": [...], "collective": [...]}
std::string machine_text(MachineFile const& file);

/// What a machine file has to be for.
struct MachineUse {
    int ranks = 1;
    std::string_view backend;  ///< empty: any
};

/// Reads machine_text(). `origin` names the text in messages. Errors: InputError naming the place
/// and what is wrong: another format, a value that is missing, unknown or out of range, no
/// measurements of some kind, a machine with another number of ranks or another backend. What
/// several ranks do to each other's memory and links does not follow from fewer ranks, so nothing
/// is scaled.
MachineFile parse_machine(std::string_view text, std::string_view origin, MachineUse const& use);

}  // namespace tesserank::io
