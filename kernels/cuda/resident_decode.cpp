#include "kernels/cuda/backend_memory.hpp"
#include "kernels/cuda/pinned_memory.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/cuda/write_to_host.hpp"

namespace tesserank::kernels::cuda {
namespace {

struct GraphTraits {
    using Value = cudaGraph_t;
    static void close(cudaGraph_t graph) noexcept { cudaGraphDestroy(graph); }
};
using Graph = Handle<GraphTraits>;

struct ExecutableGraphTraits {
    using Value = cudaGraphExec_t;
    static void close(cudaGraphExec_t graph) noexcept { cudaGraphExecDestroy(graph); }
};
using ExecutableGraph = Handle<ExecutableGraphTraits>;

/// Other threads may go on using CUDA meanwhile, as those of NCCL do.
Graph capture(cudaStream_t stream, std::function<void()> const& work) {
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
               "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
        work();
    } catch (...) {
        cudaStreamEndCapture(stream, &graph);
        Graph const unfinished(graph);
        cudaGetLastError();  // work's error is the one to tell of
        throw;
    }
    auto const code = cudaStreamEndCapture(stream, &graph);
    Graph captured(graph);
    check_cuda(code, "cudaStreamEndCapture");
    return captured;
}

class GraphRecording final : public Recording {
  public:
    GraphRecording(Graph const& graph, cudaStream_t stream) : stream_{stream} {
        cudaGraphExec_t executable = nullptr;
        check_cuda(cudaGraphInstantiate(&executable, graph.get(), 0), "cudaGraphInstantiate");
        graph_ = ExecutableGraph(executable);
        // Or the first replay would do it.
        check_cuda(cudaGraphUpload(executable, stream), "cudaGraphUpload");
    }
    void replay() override {
        check_cuda(cudaGraphLaunch(graph_.get(), stream_), "cudaGraphLaunch");
    }

  private:
    ExecutableGraph graph_;
    cudaStream_t stream_;
};

class PinnedLanding final : public Landing {
  public:
    PinnedLanding(std::size_t bytes, cudaStream_t stream, Watch const& watch)
        : capacity_{bytes}, memory_{make_pinned_memory(bytes)}, stream_{stream}, watch_{watch} {}
    /// A copy that nobody waited for still writes to the memory.
    ~PinnedLanding() override { cudaEventSynchronize(arrived_.get()); }
    PinnedLanding(PinnedLanding const&) = delete;
    PinnedLanding& operator=(PinnedLanding const&) = delete;

    void start(std::byte const* source, std::size_t bytes) override {
        require(bytes <= capacity_, "more is to land than there is room for");
        bytes_ = bytes;
        write_to_host(source, memory_.get(), bytes, stream_);
        check_cuda(cudaEventRecord(arrived_.get(), stream_), "cudaEventRecord");
    }
    std::span<std::byte const> wait() override {
        watch_.wait_for(arrived_.get());
        return {memory_.get(), bytes_};
    }

  private:
    std::size_t capacity_, bytes_ = 0;
    PinnedMemory memory_;
    Event arrived_ = make_event();
    cudaStream_t stream_;
    Watch const& watch_;
};

}  // namespace

std::unique_ptr<Recording> CudaBackend::record(std::function<void()> const& work) {
    return std::make_unique<GraphRecording>(capture(stream_.get(), work), stream_.get());
}

std::unique_ptr<Landing> CudaBackend::make_landing(std::size_t bytes) {
    return std::make_unique<PinnedLanding>(bytes, stream_.get(), memory_->watch);
}

}  // namespace tesserank::kernels::cuda
