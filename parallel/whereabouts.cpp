#include "parallel/whereabouts.hpp"

#include "kernels/host_memory.hpp"
#include "kernels/phase.hpp"
#include "kernels/trace.hpp"

#include <unistd.h>

#include <array>
#include <fstream>
#include <new>
#include <string_view>

namespace tesserank::parallel {
namespace {

/// In bytes, of this process; 0 where the system does not tell.
std::size_t resident_memory() {
    std::ifstream file("/proc/self/statm");
    std::size_t whole = 0, resident = 0;
    if (!(file >> whole >> resident)) return 0;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

HostName host_name() {
    std::array<char, 256> text{};
    HostName name;
    if (::gethostname(text.data(), text.size() - 1) == 0) name.set(text.data());
    return name;
}

std::string rank_and_place(int rank) {
    auto text = "rank " + std::to_string(rank) + " (" + std::string(host_name().view());
    for (auto const* const name : {kernels::Phase::current(), kernels::TraceRange::current()}) {
        if (!std::string_view(name).empty()) text += std::string(", ") + name;
    }
    return text + ")";
}

std::string text_of(std::exception const& error) {
    if (dynamic_cast<std::bad_alloc const*>(&error) == nullptr) return error.what();
    return "out of memory (" + std::string(error.what()) + "): this process has " +
           std::to_string(resident_memory()) + " bytes in use, and " +
           std::to_string(kernels::host_memory_available()) +
           " bytes are available. Use more ranks or nodes, or a smaller --batch or --max-length";
}

}  // namespace tesserank::parallel
