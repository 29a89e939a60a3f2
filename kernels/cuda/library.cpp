#include "kernels/cuda/library.hpp"

#include "kernels/error.hpp"

#include <dlfcn.h>

namespace tesserank::kernels::cuda {

Library::Library(std::initializer_list<char const*> names) {
    std::string errors;
    for (char const* const name : names) {
        handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (handle_ != nullptr) {
            name_ = name;
            return;
        }
        errors += (errors.empty() ? "" : "; ") + std::string(dlerror());
    }
    throw SystemError("library not found: " + errors);
}

void* Library::address(char const* symbol) const {
    void* const found = dlsym(handle_, symbol);
    if (found == nullptr) throw SystemError(name_ + " has no function " + symbol);
    return found;
}

}  // namespace tesserank::kernels::cuda
