#include "kernels/reference/reference_backend.hpp"

namespace tesserank::kernels {

std::unique_ptr<Backend> make_reference_backend() {
    return std::make_unique<reference::ReferenceBackend>();
}

}  // namespace tesserank::kernels
