#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/peer_norm.hpp"
#include "kernels/cuda/pinned_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

struct PeerMappingTraits {
    using Value = void*;
    static void close(void* memory) noexcept { cudaIpcCloseMemHandle(memory); }
};
/// Memory of another process.
using PeerMapping = Handle<PeerMappingTraits>;

PeerMapping open(PeerNorms::Address const& address, unsigned rank) {
    cudaIpcMemHandle_t native;
    static_assert(sizeof native == sizeof address);
    std::memcpy(&native, address.data(), sizeof native);
    void* memory = nullptr;
    auto const code = cudaIpcOpenMemHandle(&memory, native, cudaIpcMemLazyEnablePeerAccess);
    if (code != cudaSuccess) {
        cudaGetLastError();  // or the next launch would be blamed for it
        throw SystemError("this rank's GPU does not reach the memory of rank " +
                          std::to_string(rank) +
                          ": cudaIpcOpenMemHandle: " + cudaGetErrorString(code));
    }
    return PeerMapping(memory);
}

/// All blocks of a kernel have to run at once, of all ranks on the device: one each on as many
/// multiprocessors as there are for a rank.
std::size_t rows_at_once(cudaDeviceProp const& device, std::size_t sharers) {
    auto const blocks = static_cast<std::size_t>(device.multiProcessorCount) / sharers;
    return std::min(PeerMemory::rows, blocks);
}

class CudaPeerNorms final : public PeerNorms {
  public:
    CudaPeerNorms(CudaBackend& backend, PeerPlace const& place)
        : backend_{backend},
          most_rows_{rows_at_once(backend.properties(), place.sharers)},
          words_memory_{make_pinned_memory(sizeof(PeerWords))},
          words_{new (words_memory_.get()) PeerWords},
          memory_{backend.allocate(sizeof(PeerMemory))} {
        require(place.ranks <= PeerPlace::most_ranks, "more ranks than can be peers");
        backend.synchronize();  // its zeros, before the others write to it
        arguments_.words = words_;
        arguments_.rank = static_cast<unsigned>(place.rank);
        arguments_.ranks = static_cast<unsigned>(place.ranks);
    }
    /// What is queued may still use the memory.
    ~CudaPeerNorms() override {
        CudaPeerNorms::stop();
        cudaStreamSynchronize(backend_.stream());
    }
    CudaPeerNorms(CudaPeerNorms const&) = delete;
    CudaPeerNorms& operator=(CudaPeerNorms const&) = delete;

    Address address() const override {
        cudaIpcMemHandle_t native;
        auto const code = cudaIpcGetMemHandle(&native, memory_.get());
        if (code != cudaSuccess) cudaGetLastError();  // or the next launch would be blamed for it
        check_cuda(code, "cudaIpcGetMemHandle");
        Address address;
        std::memcpy(address.data(), &native, sizeof native);
        return address;
    }

    void connect(std::span<Address const> addresses) override {
        require(addresses.size() == arguments_.ranks, "an address for each rank is needed");
        for (unsigned rank = 0; rank < arguments_.ranks; ++rank) {
            void* memory = memory_.get();
            if (rank != arguments_.rank) {
                auto const& address = addresses[rank];
                memory = peers_.emplace_back(open(address, rank)).get();
            }
            arguments_.memory[rank] = static_cast<PeerMemory*>(memory);
        }
    }

    void disconnect() noexcept override {
        cudaStreamSynchronize(backend_.stream());
        peers_.clear();
        arguments_.memory[0] = nullptr;
    }

    std::size_t most_rows() const override { return most_rows_; }
    std::size_t most_cols() const override { return PeerMemory::cols; }

    void add_rms_norm(TensorView residual, ConstTensorView partial, ConstTensorView weight,
                      float eps, TensorView y) override {
        contracts::add_norm(residual, partial, weight, y);
        peer_norm(arguments(residual, partial, weight, eps), y, backend_.stream());
    }

    void stop() noexcept override {
        std::atomic_ref(words_->stop).store(1, std::memory_order_release);
    }
    std::optional<int> missing() const override {
        auto const rank = std::atomic_ref(words_->missing).load(std::memory_order_acquire);
        return rank == 0 ? std::nullopt : std::optional(static_cast<int>(rank) - 1);
    }

  private:
    PeerNormArguments arguments(TensorView const& residual, ConstTensorView const& partial,
                                ConstTensorView const& weight, float eps) const {
        require(partial.rows <= most_rows_ && partial.cols <= PeerMemory::cols,
                "a sum of peers is larger than their memory");
        auto result = arguments_;
        require(result.memory[0] != nullptr, "peers are not connected");
        result.residual = residual;
        result.partial = partial;
        result.weight = weight;
        result.eps = eps;
        return result;
    }

    CudaBackend& backend_;
    std::size_t most_rows_;
    PinnedMemory words_memory_;
    PeerWords* words_;
    Buffer memory_;
    std::vector<PeerMapping> peers_;
    PeerNormArguments arguments_{};  ///< what all calls share
};

}  // namespace

std::unique_ptr<PeerNorms> CudaBackend::make_peer_norms(PeerPlace const& place) {
    return std::make_unique<CudaPeerNorms>(*this, place);
}

}  // namespace tesserank::kernels::cuda
