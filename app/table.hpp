#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::app {

/// "1.5 GiB"; three digits at most.
std::string readable_bytes(std::size_t bytes);
/// "1.5 ms"; three digits at most.
std::string readable_seconds(double seconds);

/// Cells in columns that are as wide as they must be; the first row is the head.
class Table {
  public:
    explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    void print(std::ostream& out) const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace tesserank::app
