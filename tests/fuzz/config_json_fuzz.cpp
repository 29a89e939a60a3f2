#include "io/requests/config_json.hpp"
#include "kernels/error.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using tesserank::model::ConfigValue;

/// Walks the whole value, so that the sanitizers see every byte of it.
std::size_t count_values(ConfigValue const& config, std::size_t levels) {
    if (levels > 65) std::abort();
    std::size_t values = 1;
    if (auto const* list = std::get_if<ConfigValue::Array>(&config.value)) {
        for (auto const& value : *list) values += count_values(value, levels + 1);
    }
    if (auto const* object = std::get_if<ConfigValue::Object>(&config.value)) {
        for (auto const& [key, value] : *object) values += count_values(value, levels + 1);
    }
    return values;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    try {
        if (count_values(tesserank::io::parse_config(text, "fuzz"), 0) > size) std::abort();
    } catch (tesserank::kernels::InputError const&) {
    }
    return 0;
}
