#pragma once

#include "kernels/error.hpp"

#include <hdf5.h>

#include <string>
#include <string_view>

namespace tesserank::io {

/// HDF5 refused a call. Whoever reads a file from outside turns this into an InputError.
class H5Error : public kernels::SystemError {
  public:
    using SystemError::SystemError;
};

/// Throws H5Error: "<what>: <HDF5's outermost and innermost words>", in one line; where the system
/// failed, its own text is the innermost.
[[noreturn]] void throw_h5(std::string_view what);

/// Throws when a call has returned a negative value; returns the value otherwise. `what` says what
/// was tried, with names.
template <class Result>
Result check_h5(Result result, std::string_view what) {
    if (result < 0) throw_h5(what);
    return result;
}

/// The owner of a new id; throws when there is none.
template <class Handle>
Handle own_h5(hid_t id, std::string_view what) {
    return Handle(check_h5(id, what));
}

}  // namespace tesserank::io
