#include "io/model_file/load_report.hpp"

#include <algorithm>
#include <span>

namespace tesserank::io {

LoadReport sum_of(LoadReport const& one, LoadReport const& other) {
    return {.bytes_read = one.bytes_read + other.bytes_read,
            .bytes_sent = one.bytes_sent + other.bytes_sent,
            .most_held_bytes = std::max(one.most_held_bytes, other.most_held_bytes),
            .open_seconds = one.open_seconds + other.open_seconds,
            .read_seconds = one.read_seconds + other.read_seconds,
            .exchange_seconds = one.exchange_seconds + other.exchange_seconds,
            .place_seconds = one.place_seconds + other.place_seconds};
}

std::vector<LoadReport> gather_reports(LoadReport const& mine, parallel::MpiCommunicator& ranks) {
    std::vector<LoadReport> all(static_cast<std::size_t>(ranks.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof(LoadReport));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(all)));
    return all;
}

}  // namespace tesserank::io
