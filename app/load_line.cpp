#include "app/load_line.hpp"

#include "io/requests/json_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <span>

namespace tesserank::app {
namespace {

using io::LoadReport;

template <class T>
std::vector<T> column(LoadSummary const& summary, T LoadReport::*member) {
    std::vector<T> values;
    values.reserve(summary.by_rank.size());
    for (auto const& rank : summary.by_rank) values.push_back(rank.*member);
    return values;
}

std::size_t sum(std::vector<std::size_t> const& values) {
    std::size_t total = 0;
    for (auto const value : values) total += value;
    return total;
}

std::string with_unit(double number, char const* unit, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f%s", digits, number, unit);
    return text.data();
}

std::string mebibytes(std::size_t bytes, char const* unit = " MiB") {
    return with_unit(static_cast<double>(bytes) / 0x1p20, unit, 1);
}

/// "1.6 MiB read (0.3 to 0.5 MiB by each rank)".
std::string bytes_text(std::vector<std::size_t> const& values, std::string const& word) {
    auto const [least, most] = std::ranges::minmax(values);
    auto text = mebibytes(sum(values)) + " " + word;
    if (values.size() == 1) return text;
    auto const low = mebibytes(least, "");
    auto const high = mebibytes(most, "");
    return text + " (" + (low == high ? "" : low + " to ") + high + " MiB by each rank)";
}

}  // namespace

std::size_t LoadSummary::bytes_read() const { return sum(column(*this, &LoadReport::bytes_read)); }

std::string load_line(LoadSummary const& summary) {
    auto text = bytes_text(column(summary, &LoadReport::bytes_read), "read");
    auto const times = static_cast<double>(summary.bytes_read()) /
                       static_cast<double>(std::max<std::size_t>(summary.weight_bytes, 1));
    // Read more than once: by choice, or because it is cheaper here.
    if (times > 1.05) text += with_unit(times, " times the weights", 1).insert(0, ", ");
    text += ", " + bytes_text(column(summary, &LoadReport::bytes_sent), "sent");
    auto const phase = [&](char const* name, double LoadReport::*member) {
        return name + with_unit(std::ranges::max(column(summary, member)), " s", 2);
    };
    return text + phase("; open ", &LoadReport::open_seconds) +
           phase(", read ", &LoadReport::read_seconds) +
           phase(", exchange ", &LoadReport::exchange_seconds) +
           phase(", place ", &LoadReport::place_seconds);
}

std::string load_json(LoadSummary const& summary) {
    io::JsonObject object;
    auto const add = [&](char const* name, auto const& values) {
        std::string list;
        io::append_json(list, std::span(values));
        object.add_json(name, list);
    };
    add("bytes_read", column(summary, &LoadReport::bytes_read));
    add("bytes_sent", column(summary, &LoadReport::bytes_sent));
    add("most_held_bytes", column(summary, &LoadReport::most_held_bytes));
    add("open_seconds", column(summary, &LoadReport::open_seconds));
    add("read_seconds", column(summary, &LoadReport::read_seconds));
    add("exchange_seconds", column(summary, &LoadReport::exchange_seconds));
    add("place_seconds", column(summary, &LoadReport::place_seconds));
    return object.close();
}

}  // namespace tesserank::app
