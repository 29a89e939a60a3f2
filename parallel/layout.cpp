#include "parallel/layout.hpp"

#include <array>

namespace tesserank::parallel {

std::string_view name_of(Layout const& layout) {
    static constexpr std::array<std::string_view, std::variant_size_v<Layout>> names{
        "Replicated", "Partial", "HiddenSharded", "BatchSharded"};
    return names.at(layout.index());
}

Layout layout_of(AnyActivation const& activation) {
    return std::visit([](auto const& known) -> Layout { return known.layout; }, activation);
}

}  // namespace tesserank::parallel
