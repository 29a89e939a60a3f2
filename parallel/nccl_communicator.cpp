#include "parallel/nccl_communicator.hpp"

#include "kernels/error.hpp"
#include "parallel/pieces.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <string>

namespace tesserank::parallel {
namespace {

using kernels::DType;

ncclDataType_t type_of(DType dtype) {
    switch (dtype) {
        case DType::bf16:
            return ncclBfloat16;
        case DType::f16:
            return ncclFloat16;
        default:
            return ncclFloat32;
    }
}

#ifdef NCCL_WIN_COLL_SYMMETRIC
constexpr int symmetric_window = NCCL_WIN_COLL_SYMMETRIC;
#else
constexpr int symmetric_window = 1;  // headers before 2.27; the library may be newer
#endif

bool all_alike(std::span<std::size_t const> sizes) {
    return std::ranges::adjacent_find(sizes, std::not_equal_to{}) == sizes.end();
}

}  // namespace

NcclLibraryInfo find_nccl(std::string const& library) {
    try {
        NcclLibrary const nccl(library);
        int code = 0;
        nccl.get_version(&code);
        auto const version = std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) +
                             "." + std::to_string(code % 100);
        return {.version = version, .path = nccl.path(), .why_none = ""};
    } catch (std::exception const& error) {
        return {.version = "", .path = "", .why_none = error.what()};
    }
}

std::unique_ptr<Communicator> make_nccl_communicator(MpiCommunicator& world, void* stream,
                                                     NcclOptions const& options) {
    return std::make_unique<NcclCommunicator>(world, stream, options);
}

NcclCommunicator::NcclCommunicator(MpiCommunicator& world, void* stream, NcclOptions const& options)
    : ring_{world.ring()},
      link_{world, options},
      nccl_{link_.library()},
      stream_{static_cast<cudaStream_t>(stream)},
      symmetric_memory_{options.symmetric_memory} {}

// What fails here costs speed and nothing else, hence is passed over.
std::shared_ptr<void> NcclCommunicator::register_memory(std::span<std::byte> memory) {
    if (memory.empty() || link_.comm() == nullptr) return {};
    void* handle = nullptr;
    if (symmetric_memory_ && nccl_.register_window != nullptr) {
        link_.expect(nccl_.register_window(link_.comm(), memory.data(), memory.size(), &handle,
                                           symmetric_window),
                     "ncclCommWindowRegister");
        link_.settle();
        return {handle, [this](void* window) {
                    if (window == nullptr || link_.comm() == nullptr) return;
                    nccl_.deregister_window(link_.comm(), window);
                }};
    }
    if (nccl_.register_buffer == nullptr) return {};
    auto const result = nccl_.register_buffer(link_.comm(), memory.data(), memory.size(), &handle);
    if (result != ncclSuccess) return {};
    return {handle, [this](void* buffer) {
                if (link_.comm() != nullptr) nccl_.deregister_buffer(link_.comm(), buffer);
            }};
}

void NcclCommunicator::do_all_reduce(std::span<std::byte> data, DType dtype) {
    check_elements(data, dtype);
    if (data.empty()) return;
    link_.queue("all_reduce", [&] {
        link_.expect(nccl_.all_reduce(data.data(), data.data(), data.size() / size_of(dtype),
                                      type_of(dtype), ncclSum, link_.comm(), stream_),
                     "ncclAllReduce");
    });
}

void NcclCommunicator::do_reduce_scatter(std::span<std::byte> data, DType dtype,
                                         std::span<std::size_t const> counts,
                                         std::span<std::byte> mine) {
    check_elements(data, dtype);
    check_elements(mine, dtype);
    std::size_t const width = size_of(dtype);
    check_pieces(mine.size() / width, counts, data.size() / width, rank(), size());
    if (data.empty()) return;
    link_.queue("reduce_scatter", [&] {
        if (!all_alike(counts)) return reduce_pieces(data, dtype, counts, mine);
        link_.expect(nccl_.reduce_scatter(data.data(), mine.data(), counts[0], type_of(dtype),
                                          ncclSum, link_.comm(), stream_),
                     "ncclReduceScatter");
    });
}

void NcclCommunicator::reduce_pieces(std::span<std::byte const> data, DType dtype,
                                     std::span<std::size_t const> counts,
                                     std::span<std::byte> mine) {
    for (int root = 0; root < size(); ++root) {
        std::size_t const count = counts[static_cast<std::size_t>(root)];
        if (count == 0) continue;
        link_.expect(nccl_.reduce(data.data(), root == rank() ? mine.data() : nullptr, count,
                                  type_of(dtype), ncclSum, root, link_.comm(), stream_),
                     "ncclReduce");
        data = data.subspan(count * size_of(dtype));
    }
}

void NcclCommunicator::do_all_gather(std::span<std::byte const> mine,
                                     std::span<std::size_t const> bytes, std::span<std::byte> all) {
    check_pieces(mine.size(), bytes, all.size(), rank(), size());
    if (all.empty()) return;
    link_.queue("all_gather", [&] {
        if (all_alike(bytes)) {
            return link_.expect(nccl_.all_gather(mine.data(), all.data(), mine.size(), ncclUint8,
                                                 link_.comm(), stream_),
                                "ncclAllGather");
        }
        for (int peer = 0; peer < size(); ++peer) {
            auto const piece = piece_of(all, bytes, peer);
            if (peer == rank()) {
                copy(mine, piece);
            } else {
                send(mine, peer);
                receive(piece, peer);
            }
        }
    });
}

void NcclCommunicator::do_reduce(std::span<std::byte> data, DType dtype, int root) {
    check_elements(data, dtype);
    check_root(root, size());
    if (data.empty()) return;
    link_.queue("reduce", [&] {
        link_.expect(nccl_.reduce(data.data(), data.data(), data.size() / size_of(dtype),
                                  type_of(dtype), ncclSum, root, link_.comm(), stream_),
                     "ncclReduce");
    });
}

void NcclCommunicator::do_gather(std::span<std::byte const> mine,
                                 std::span<std::size_t const> bytes, std::span<std::byte> all,
                                 int root) {
    check_pieces_at_root(mine.size(), bytes, all.size(), root, rank(), size());
    link_.queue("gather", [&] {
        if (rank() != root) return send(mine, root);
        for (int peer = 0; peer < size(); ++peer) {
            auto const piece = piece_of(all, bytes, peer);
            peer == root ? copy(mine, piece) : receive(piece, peer);
        }
    });
}

void NcclCommunicator::do_scatter(std::span<std::byte const> all,
                                  std::span<std::size_t const> bytes, std::span<std::byte> mine,
                                  int root) {
    check_pieces_at_root(mine.size(), bytes, all.size(), root, rank(), size());
    link_.queue("scatter", [&] {
        if (rank() != root) return receive(mine, root);
        for (int peer = 0; peer < size(); ++peer) {
            auto const piece = piece_of(all, bytes, peer);
            peer == root ? copy(piece, mine) : send(piece, peer);
        }
    });
}

void NcclCommunicator::do_transfer(std::span<std::byte> data, int from, int to) {
    check_root(from, size());
    check_root(to, size());
    if (from == to || (rank() != from && rank() != to)) return;
    link_.queue("transfer", [&] { rank() == from ? send(data, to) : receive(data, from); });
}

void NcclCommunicator::do_broadcast(std::span<std::byte> data, int root) {
    check_root(root, size());
    if (data.empty()) return;
    link_.queue("broadcast", [&] {
        link_.expect(nccl_.broadcast(data.data(), data.data(), data.size(), ncclUint8, root,
                                     link_.comm(), stream_),
                     "ncclBroadcast");
    });
}

void NcclCommunicator::do_all_to_all(std::span<std::byte const> send_all,
                                     std::span<std::size_t const> send_bytes,
                                     std::span<std::byte> received,
                                     std::span<std::size_t const> received_bytes) {
    check_all_to_all(send_all.size(), send_bytes, received.size(), received_bytes, rank(), size());
    link_.queue("all_to_all", [&] {
        for (int peer = 0; peer < size(); ++peer) {
            auto const out = piece_of(send_all, send_bytes, peer);
            auto const in = piece_of(received, received_bytes, peer);
            if (peer == rank()) {
                copy(out, in);
            } else {
                send(out, peer);
                receive(in, peer);
            }
        }
    });
}

void NcclCommunicator::send(std::span<std::byte const> data, int to) {
    if (data.empty()) return;
    link_.expect(nccl_.send(data.data(), data.size(), ncclUint8, to, link_.comm(), stream_),
                 "ncclSend");
}

void NcclCommunicator::receive(std::span<std::byte> data, int from) {
    if (data.empty()) return;
    link_.expect(nccl_.receive(data.data(), data.size(), ncclUint8, from, link_.comm(), stream_),
                 "ncclRecv");
}

void NcclCommunicator::copy(std::span<std::byte const> from, std::span<std::byte> to) {
    if (from.data() == to.data()) return;
    send(from, rank());
    receive(to, rank());
}

}  // namespace tesserank::parallel
