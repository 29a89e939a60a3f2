#include "kernels/error.hpp"
#include "parallel/nccl.hpp"

namespace tesserank::parallel {
namespace {

constexpr char const* absent = "this tesserank was built without NCCL's header, nccl.h";

}  // namespace

NcclLibraryInfo find_nccl(std::string const& /*library*/) {
    return {.version = "", .path = "", .why_none = absent};
}

std::unique_ptr<Communicator> make_nccl_communicator(MpiCommunicator& /*world*/, void* /*stream*/,
                                                     NcclOptions const& /*options*/) {
    throw kernels::SystemError(std::string(absent) + ". Use --comm mpi, or build it with NCCL.");
}

}  // namespace tesserank::parallel
