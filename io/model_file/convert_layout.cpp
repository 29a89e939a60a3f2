#include "io/model_file/convert_layout.hpp"

#include "kernels/error.hpp"

#include <cstring>

namespace tesserank::io {

std::string packed(ConvertLayout const& layout) {
    std::string text;
    auto const add = [&](std::uint64_t number) {
        text.append(reinterpret_cast<char const*>(&number), sizeof number);
    };
    add(layout.writing == Writing::one_node ? 1 : 0);
    add(layout.files.size());
    for (auto const& [inode, device] : layout.files) {
        add(inode);
        add(device.value_or(0));
    }
    add(layout.places.size());
    for (auto const& places : layout.places) {
        add(places.size());
        for (auto const& place : places) {
            for (auto const number : {place.file, place.offset, place.bytes, place.block_bytes}) {
                add(number);
            }
        }
    }
    return text;
}

ConvertLayout unpacked_layout(std::string const& text) {
    std::size_t at = 0;
    auto const next = [&] {
        std::uint64_t number = 0;
        kernels::require(text.size() - at >= sizeof number, "the layout is cut off");
        std::memcpy(&number, text.data() + at, sizeof number);
        at += sizeof number;
        return number;
    };
    ConvertLayout layout;
    layout.writing = next() == 1 ? Writing::one_node : Writing::all_nodes;
    layout.files.resize(next());
    for (auto& [inode, device] : layout.files) {
        inode = next();
        device = next();
    }
    layout.places.resize(next());
    for (auto& places : layout.places) {
        places.resize(next());
        for (auto& [file, offset, bytes, block_bytes] : places) {
            file = next();
            offset = next();
            bytes = next();
            block_bytes = next();
        }
    }
    return layout;
}

}  // namespace tesserank::io
