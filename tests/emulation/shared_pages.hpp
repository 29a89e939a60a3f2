#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::emulation {

/// Memory of this process, where it lies, as memory that other processes can map. When this dies it
/// is this process's own again, with other content.
class SharedPages {
  public:
    /// Whole pages; they keep what they hold. Errors: std::system_error.
    SharedPages(std::byte* first, std::size_t bytes);
    ~SharedPages();
    SharedPages(SharedPages const&) = delete;
    SharedPages& operator=(SharedPages const&) = delete;

    /// How other processes reach the memory from `offset` on.
    void describe(std::size_t offset, cudaIpcMemHandle_t& handle) const;
    bool open_elsewhere() const;

  private:
    std::byte* first_;
    std::size_t bytes_;
    int file_;
};

/// Whether the address lies in memory of another process that this one has opened.
bool of_another_process(void const* address);

/// Whether this call is one that fail_ipc_after() lets fail.
bool ipc_fails();

}  // namespace tesserank::emulation
