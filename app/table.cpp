#include "app/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tesserank::app {

std::string readable_bytes(std::size_t bytes) {
    static constexpr std::array<char const*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1000.0 && unit + 1 < units.size(); ++unit) value /= 1024.0;
    std::array<char, 32> text{};
    bool const whole = unit == 0 || value >= 100.0;
    std::snprintf(text.data(), text.size(), whole ? "%.0f %s" : "%.3g %s", value, units.at(unit));
    return text.data();
}

void Table::print(std::ostream& out) const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (auto const& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (auto const& row : rows_) {
        std::string line = " ";
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += " " + row[i];
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 1, ' ');
        }
        out << line << '\n';
    }
}

std::string readable_seconds(double seconds) {
    std::array<char, 32> text{};
    double const micro = seconds * 1e6;
    char const* const unit = micro < 1000.0 ? "us" : micro < 1e6 ? "ms" : "s";
    double const value = micro < 1000.0 ? micro : micro < 1e6 ? micro / 1e3 : seconds;
    std::snprintf(text.data(), text.size(), value >= 100.0 ? "%.0f %s" : "%.3g %s", value, unit);
    return text.data();
}

}  // namespace tesserank::app
