#pragma once

#include <hdf5.h>

#include <utility>

namespace tesserank::io {

/// The one owner of an HDF5 id. Errors of closing are dropped: call release() and close by hand
/// where they matter, as for a file that was written.
template <herr_t (*Close)(hid_t)>
class H5Handle {
  public:
    H5Handle() = default;
    explicit H5Handle(hid_t id) noexcept : id_{id} {}
    ~H5Handle() {
        if (id_ >= 0) Close(id_);
    }
    H5Handle(H5Handle&& other) noexcept : id_{other.release()} {}
    H5Handle& operator=(H5Handle&& other) noexcept {
        std::swap(id_, other.id_);
        return *this;
    }
    H5Handle(H5Handle const&) = delete;
    H5Handle& operator=(H5Handle const&) = delete;

    hid_t get() const noexcept { return id_; }
    hid_t release() noexcept { return std::exchange(id_, H5I_INVALID_HID); }

  private:
    hid_t id_ = H5I_INVALID_HID;
};

using H5File = H5Handle<H5Fclose>;
using H5Object = H5Handle<H5Oclose>;  ///< a group or a data set, whatever the link led to
using H5Dataset = H5Handle<H5Dclose>;
using H5Space = H5Handle<H5Sclose>;
using H5Type = H5Handle<H5Tclose>;
using H5Attribute = H5Handle<H5Aclose>;
using H5Plist = H5Handle<H5Pclose>;

}  // namespace tesserank::io
