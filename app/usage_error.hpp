#pragma once

#include <stdexcept>

namespace tesserank::app {

/// The command line is wrong. Exit status 1.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace tesserank::app
