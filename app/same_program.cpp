#include "app/same_program.hpp"

#include "io/hex.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"
#include "parallel/mpi_communicator.hpp"

#include <link.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace tesserank::app {
namespace {

using Bytes = std::span<std::byte const>;

std::size_t padded(std::size_t bytes) { return (bytes + 3) / 4 * 4; }

/// The content of the note that holds a build id; empty where there is none.
Bytes find_build_id(Bytes notes) {
    ElfW(Nhdr) head{};
    while (notes.size() >= sizeof(head)) {
        std::memcpy(&head, notes.data(), sizeof(head));
        auto const name = padded(head.n_namesz), content = padded(head.n_descsz);
        notes = notes.subspan(sizeof(head));
        if (notes.size() < name + content) break;
        if (head.n_type == NT_GNU_BUILD_ID) return notes.subspan(name, head.n_descsz);
        notes = notes.subspan(name + content);
    }
    return {};
}

/// The first object is the program itself.
int read_program(dl_phdr_info* object, std::size_t /*bytes*/, void* id) {
    for (auto const& part : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
        if (part.p_type != PT_NOTE) continue;
        auto const* const begin = std::bit_cast<std::byte const*>(object->dlpi_addr + part.p_vaddr);
        auto const found = find_build_id({begin, part.p_memsz});
        if (!found.empty()) *static_cast<Bytes*>(id) = found;
    }
    return 1;
}

}  // namespace

std::string program_id() {
    Bytes id;
    dl_iterate_phdr(read_program, &id);
    return std::string(TESSERANK_VERSION) + " (build " +
           (id.empty() ? "unknown" : io::hex_text(id)) + ")";
}

void check_same_program() {
    auto world = parallel::MpiCommunicator::world();
    auto const mine = program_id();
    std::array<char, 128> first{};
    std::copy_n(mine.data(), std::min(mine.size(), first.size() - 1), first.data());
    world.broadcast(std::as_writable_bytes(std::span(first)), 0);
    parallel::agree(world, [&] {
        if (mine == first.data()) return;
        throw kernels::InputError("this is tesserank " + mine + ", but rank 0 runs " +
                                  first.data() + "; start the same program on every node");
    });
}

}  // namespace tesserank::app
