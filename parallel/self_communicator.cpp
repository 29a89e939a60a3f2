#include "parallel/self_communicator.hpp"

#include "kernels/error.hpp"

#include <cstring>
#include <type_traits>

namespace tesserank::parallel {
namespace {

/// Bytes as a tensor of the smallest elements; pieces are whole elements.
template <class Byte>
auto elements_of(std::span<Byte> bytes) {
    using Element =
        std::conditional_t<std::is_const_v<Byte>, kernels::BFloat16 const, kernels::BFloat16>;
    return kernels::view_of(reinterpret_cast<Element*>(bytes.data()), 1,
                            bytes.size() / sizeof(Element));
}

}  // namespace

void SelfCommunicator::copy_piece(std::span<std::byte const> from, std::span<std::byte> to) {
    kernels::require(from.size() == to.size(), "the piece of the only rank is the whole");
    if (from.empty() || from.data() == to.data()) return;
    if (backend_ == nullptr) {
        std::memmove(to.data(), from.data(), from.size());
    } else {
        kernels::require(from.size() % sizeof(kernels::BFloat16) == 0,
                         "a piece on a device ends within an element");
        backend_->copy(elements_of(from), elements_of(to));
    }
}

void SelfCommunicator::do_all_reduce(std::span<std::byte> /*data*/, kernels::DType /*dtype*/) {}

void SelfCommunicator::do_reduce_scatter(std::span<std::byte> data, kernels::DType /*dtype*/,
                                         std::span<std::size_t const> /*counts*/,
                                         std::span<std::byte> mine) {
    copy_piece(data, mine);
}

void SelfCommunicator::do_all_gather(std::span<std::byte const> mine,
                                     std::span<std::size_t const> /*bytes*/,
                                     std::span<std::byte> all) {
    copy_piece(mine, all);
}

void SelfCommunicator::do_reduce(std::span<std::byte> /*data*/, kernels::DType /*dtype*/,
                                 int /*root*/) {}

void SelfCommunicator::do_gather(std::span<std::byte const> mine,
                                 std::span<std::size_t const> /*bytes*/, std::span<std::byte> all,
                                 int /*root*/) {
    copy_piece(mine, all);
}

void SelfCommunicator::do_scatter(std::span<std::byte const> all,
                                  std::span<std::size_t const> /*bytes*/, std::span<std::byte> mine,
                                  int /*root*/) {
    copy_piece(all, mine);
}

void SelfCommunicator::do_transfer(std::span<std::byte> /*data*/, int /*from*/, int /*to*/) {}

void SelfCommunicator::do_broadcast(std::span<std::byte> /*data*/, int /*root*/) {}

void SelfCommunicator::do_all_to_all(std::span<std::byte const> send,
                                     std::span<std::size_t const> /*send_bytes*/,
                                     std::span<std::byte> received,
                                     std::span<std::size_t const> /*received_bytes*/) {
    copy_piece(send, received);
}

}  // namespace tesserank::parallel
