#include "tests/emulation/symbol.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

namespace tesserank::emulation {
namespace {

std::string demangled(char const* name) {
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> const text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return text ? text.get() : name;
}

template <class T>
std::vector<T> read(std::ifstream& file, std::uint64_t offset, std::uint64_t bytes) {
    std::vector<T> values(bytes / sizeof(T));
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(bytes));
    return values;
}

/// The symbol at `address` of an ELF file; empty when there is none.
std::string find(char const* path, std::uint64_t address) {
    std::ifstream file(path, std::ios::binary);
    auto const headers = read<Elf64_Ehdr>(file, 0, sizeof(Elf64_Ehdr));
    if (!file || std::memcmp(headers[0].e_ident, ELFMAG, SELFMAG) != 0) return {};
    auto const sections =
        read<Elf64_Shdr>(file, headers[0].e_shoff, headers[0].e_shnum * sizeof(Elf64_Shdr));
    for (Elf64_Shdr const& section : sections) {
        if (section.sh_type != SHT_SYMTAB) continue;
        auto const& strings = sections[section.sh_link];
        auto const names = read<char>(file, strings.sh_offset, strings.sh_size);
        for (Elf64_Sym const& symbol : read<Elf64_Sym>(file, section.sh_offset, section.sh_size)) {
            if (symbol.st_value == address && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC) {
                return demangled(&names[symbol.st_name]);
            }
        }
    }
    return {};
}

}  // namespace

std::string symbol_of(void const* function) {
    Dl_info where{};
    if (dladdr(function, &where) != 0) {
        auto const base = reinterpret_cast<std::uintptr_t>(where.dli_fbase);
        auto const address = reinterpret_cast<std::uintptr_t>(function);
        // Only position-independent programs are moved when they are loaded.
        for (std::uintptr_t const offset : {base, std::uintptr_t{0}}) {
            if (auto const name = find("/proc/self/exe", address - offset); !name.empty()) {
                return name;
            }
        }
    }
    char text[32];
    std::snprintf(text, sizeof text, "at %p", function);
    return text;
}

}  // namespace tesserank::emulation
