#pragma once

#include <initializer_list>
#include <string>

namespace tesserank::kernels::cuda {

/// A library that is looked for when it is needed, so that a machine without it runs what does not
/// need it. Stays loaded until the process ends: those of CUDA do not like to be unloaded.
class Library {
  public:
    /// Takes the first of `names` that can be loaded. Errors: SystemError with the loader's text
    /// for each of them.
    explicit Library(std::initializer_list<char const*> names);

    std::string const& name() const { return name_; }

    /// `pointer` = the function called `symbol`. Errors: SystemError when there is none.
    template <class Function>
    void find(Function*& pointer, char const* symbol) const {
        pointer = reinterpret_cast<Function*>(address(symbol));
    }

  private:
    void* address(char const* symbol) const;

    std::string name_;
    void* handle_ = nullptr;
};

}  // namespace tesserank::kernels::cuda
