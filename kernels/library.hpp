#pragma once

#include <string>
#include <vector>

namespace tesserank::kernels {

/// A library that is looked for when it is needed, so that a machine without it runs what does not
/// need it. Stays loaded until the process ends: those of CUDA do not like to be unloaded.
class Library {
  public:
    /// Takes the first of `files` that can be loaded. `needed` says in errors which library of
    /// which version would do. Errors: SystemError with the loader's text for each of them.
    Library(std::string needed, std::vector<std::string> const& files);

    /// The file that was loaded.
    std::string path() const;

    /// `pointer` = the function called `symbol`. Errors: SystemError when there is none.
    template <class Function>
    void find(Function*& pointer, char const* symbol) const {
        pointer = reinterpret_cast<Function*>(address(symbol));
    }
    /// The same; null when there is none.
    template <class Function>
    void find_if_there(Function*& pointer, char const* symbol) const {
        pointer = reinterpret_cast<Function*>(address_if_there(symbol));
    }

  private:
    void* address(char const* symbol) const;
    void* address_if_there(char const* symbol) const;

    std::string needed_;
    void* handle_ = nullptr;
};

}  // namespace tesserank::kernels
