#include "kernels/library.hpp"

#include "kernels/error.hpp"

#include <dlfcn.h>
#include <link.h>

#include <utility>

namespace tesserank::kernels {

Library::Library(std::string needed, std::vector<std::string> const& files)
    : needed_{std::move(needed)} {
    std::string errors;
    for (auto const& file : files) {
        handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_ != nullptr) return;
        errors += (errors.empty() ? "" : "; ") + std::string(dlerror());
    }
    throw SystemError(needed_ + " is not there: " + errors);
}

std::string Library::path() const {
    link_map const* map = nullptr;
    return dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : "";
}

void* Library::address_if_there(char const* symbol) const { return dlsym(handle_, symbol); }

void* Library::address(char const* symbol) const {
    void* const found = address_if_there(symbol);
    if (found != nullptr) return found;
    throw SystemError(path() + " has no function " + symbol + ": " + needed_ + " is needed");
}

}  // namespace tesserank::kernels
