// A model file whose HDF5 structure is whole, and in which attributes, element types, shapes,
// layouts and links are changed as the input says: refused by an InputError, or an index in which
// every tensor lies within the file. The input is a list of changes; see change(). What HDF5 itself
// makes of a damaged structure is not tried.

#include "io/hdf5/start.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/tensor_writer.hpp"
#include "io/model_file/writer.hpp"
#include "kernels/error.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/io/temporary_folder.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace tesserank;
using fuzz::check;

/// The input, from front to back; zeros behind its end.
class Input {
  public:
    explicit Input(std::span<std::uint8_t const> bytes) : bytes_{bytes} {}
    bool is_empty() const { return bytes_.empty(); }
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        auto const first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8; ++i) value = value << 8 | byte();
        return value;
    }
    template <class Choices>
    auto const& one_of(Choices const& choices) {
        return choices[byte() % std::size(choices)];
    }

  private:
    std::span<std::uint8_t const> bytes_;
};

constexpr std::array objects{"/",          "config",          "tokenizer",      "weights",
                             "weights/a",  "weights/a/whole", "weights/a/half", "weights/number",
                             "weights/new"};
constexpr std::array attributes{"format",       "format_version",   "created_by",
                                "source_files", "source_sha256",    "checksum",
                                "block_bytes",  "region",           "set_ranks",
                                "set_part",     "set_model_sha256", "set_plan_sha256"};
constexpr std::array texts{"tesserank", "tesserank-part", "shared", "rank 0", "", "{}"};

void fill(io::ModelFileWriter& writer, std::string const& name, kernels::DType dtype,
          std::vector<io::Place> const& places) {
    io::TensorWriter out(writer.files());
    out.begin(places, dtype);
    out.append(std::vector<std::byte>(places.front().bytes));
    writer.set_checksums(name, places, out.end());
}

/// Files of every kind are made once, and copied for each input.
std::string made_file(bool part) {
    using enum kernels::DType;
    io::TemporaryFolder const folder;
    {
        io::ModelFileWriter writer(folder.path("m.h5"));
        if (part) writer.mark_part({"rank 0", "abc", "def", 2});
        if (!part) writer.add_document("config", "{}");
        writer.add_document("tokenizer", "{\"model\": {}}");
        fill(writer, "a.whole", f32, writer.add_tensor("a.whole", f32, {2, 3}));
        std::array const regions{model::Region{{5, 1}, {3, 2}}, model::Region{{9, 1}, {3, 2}}};
        fill(writer, "a.half", bf16,
             part ? std::vector{writer.add_piece("a.half", bf16, regions)}
                  : writer.add_tensor("a.half", bf16, {2, 2}));
        fill(writer, "number", f16, writer.add_tensor("number", f16, {}));
        writer.commit({{"model.safetensors", "0123"}});
    }
    return folder.read("m.h5");
}

hid_t made_type(Input& input) {
    static std::array const numbers{H5T_IEEE_F32LE, H5T_STD_U64LE,  H5T_STD_I64LE,
                                    H5T_STD_U8LE,   H5T_IEEE_F32BE, H5T_IEEE_F64LE};
    auto const kind = input.byte() % 9U;
    if (kind < numbers.size()) return H5Tcopy(numbers[kind]);
    auto const type = H5Tcopy(kind == 6 ? H5T_IEEE_F32LE : H5T_C_S1);
    if (kind == 6) {  // a float of some other form, bf16 among them
        auto const exponent = 1U + input.byte() % 15U, mantissa = 15U - exponent;
        H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa);
        H5Tset_precision(type, 16);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, (std::size_t{1} << (exponent - 1)) - 1);
    } else {
        H5Tset_size(type, kind == 7 ? H5T_VARIABLE : 1U + input.byte());
    }
    return type;
}

/// A size that is small, or large in a way that may overflow.
hsize_t made_size(Input& input) {
    auto const small = input.byte();
    return small < 0xF0 ? small % 16U : input.number() >> (small & 0x0FU);
}

hid_t made_space(Input& input) {
    auto const dimensions = input.byte() % 6U;
    if (dimensions == 0) return H5Screate(H5S_SCALAR);
    if (dimensions == 5) return H5Screate(H5S_NULL);
    std::array<hsize_t, 4> sizes{};
    for (auto& size : sizes) size = made_size(input);
    return H5Screate_simple(static_cast<int>(dimensions), sizes.data(), nullptr);
}

/// Of any type and shape; its numbers or text come from the input as well. One that is too large is
/// left out: HDF5 would take memory for it while it is made.
void set_attribute(hid_t object, char const* name, Input& input) {
    H5Adelete(object, name);
    auto const space = made_space(input), type = made_type(input);
    constexpr std::size_t most = 4096;
    auto const count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
    bool const is_plain = H5Tis_variable_str(type) <= 0;
    auto const size = H5Tget_size(type);
    auto const made =
        count <= most / size ? H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : -1;
    if (made >= 0 && is_plain) {
        std::vector<std::uint8_t> content(count * size);
        for (auto& byte : content) byte = input.byte();
        H5Awrite(made, type, content.data());
    }
    if (made >= 0) H5Aclose(made);
    H5Tclose(type);
    H5Sclose(space);
}

void set_numbers(hid_t object, char const* name, Input& input) {
    H5Adelete(object, name);
    std::vector<std::uint64_t> numbers(input.byte() % 9U);
    for (auto& number : numbers) number = made_size(input);
    hsize_t const count = numbers.size();
    auto const space = H5Screate_simple(1, &count, nullptr);
    auto const made = H5Acreate2(object, name, H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(made, H5T_STD_U64LE, numbers.data());
    H5Aclose(made);
    H5Sclose(space);
}

void set_text(hid_t object, char const* name, char const* text) {
    H5Adelete(object, name);
    auto const type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, std::max<std::size_t>(std::char_traits<char>::length(text), 1));
    auto const space = H5Screate(H5S_SCALAR);
    auto const made = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(made, type, text);
    H5Aclose(made);
    H5Sclose(space);
    H5Tclose(type);
}

void set_dataset(hid_t file, char const* path, Input& input) {
    H5Ldelete(file, path, H5P_DEFAULT);
    auto const space = made_space(input), type = made_type(input);
    auto const creation = H5Pcreate(H5P_DATASET_CREATE);
    auto const layout = input.byte();
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    if (layout % 8 == 0) H5Pset_layout(creation, H5D_COMPACT);
    std::array<hsize_t, 4> const chunk{1, 1, 1, 1};
    if (layout % 8 == 1) H5Pset_chunk(creation, H5Sget_simple_extent_ndims(space), chunk.data());
    if (layout % 8 == 2) H5Pset_external(creation, "/nowhere", 0, H5F_UNLIMITED);
    H5Pset_alloc_time(creation,
                      layout < 192 && layout % 8 != 1 ? H5D_ALLOC_TIME_EARLY : H5D_ALLOC_TIME_LATE);
    // One that has place for all would be written out.
    constexpr hssize_t most_compact = 4096;
    bool const fits = layout % 8 != 0 || H5Sget_simple_extent_npoints(space) <= most_compact;
    auto const dataset =
        fits ? H5Dcreate2(file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT) : -1;
    if (dataset >= 0) {
        set_numbers(dataset, "block_bytes", input);
        set_numbers(dataset, "checksum", input);
        H5Dclose(dataset);
    }
    H5Pclose(creation);
    H5Tclose(type);
    H5Sclose(space);
}

/// Also by way of a soft link.
bool is_root(hid_t file, char const* path) {
    H5O_info_t root{}, found{};
    return H5Oget_info(file, &root) >= 0 &&
           H5Oget_info_by_name(file, path, &found, H5P_DEFAULT) >= 0 && found.addr == root.addr;
}

void set_link(hid_t file, char const* path, Input& input) {
    auto const* const target = input.one_of(objects);
    auto const kind = input.byte() % 4;
    if (kind == 3) {
        H5Gclose(H5Gcreate2(file, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        return;
    }
    // HDF5 1.10 itself fails when there is a second hard link to the root group.
    if (kind == 1 && is_root(file, target)) return;
    H5Ldelete(file, path, H5P_DEFAULT);
    if (kind == 0) H5Lcreate_soft(target, file, path, H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 1) H5Lcreate_hard(file, target, file, path, H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 2) {
        H5Lcreate_external("/nowhere.h5", target, file, path, H5P_DEFAULT, H5P_DEFAULT);
    }
}

/// One change; those that HDF5 refuses change nothing.
void change(hid_t file, Input& input) {
    auto const kind = input.byte() % 8;
    auto const* const path = input.one_of(objects);
    if (kind == 0) return static_cast<void>(H5Ldelete(file, path, H5P_DEFAULT));
    if (kind == 1) return set_dataset(file, path, input);
    if (kind == 2) return set_link(file, path, input);
    auto const object = H5Oopen(file, path, H5P_DEFAULT);
    if (object < 0) return;
    auto const* const name = input.one_of(attributes);
    if (kind == 3) H5Adelete(object, name);
    if (kind == 4) set_text(object, name, input.one_of(texts));
    if (kind == 5) set_attribute(object, name, input);
    if (kind >= 6) set_numbers(object, name, input);
    H5Oclose(object);
}

void change_file(std::string const& path, Input& input) {
    auto const access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    auto const file = H5Fopen(path.c_str(), H5F_ACC_RDWR, access);
    check(file >= 0);
    constexpr int most_changes = 8;
    for (int i = 0; i < most_changes && !input.is_empty(); ++i) change(file, input);
    H5Eclear2(H5E_DEFAULT);
    H5Fclose(file);
    H5Pclose(access);
}

void check_index(io::ModelIndex const& index) {
    for (auto const& [name, text] : index.documents) check(!name.empty() && !text.empty());
    for (auto const& tensor : index.tensors) {
        check(!tensor.name.empty() && tensor.block_bytes > 0);
        check(tensor.bytes == io::bytes_of_shape(tensor.shape, tensor.dtype));
        check(tensor.rows() * tensor.cols() == tensor.elements());
        check(tensor.bytes == 0 || (tensor.offset <= index.file_bytes &&
                                    tensor.bytes <= index.file_bytes - tensor.offset));
        check(tensor.checksums.size() ==
              tensor.bytes / tensor.block_bytes + (tensor.bytes % tensor.block_bytes != 0 ? 1 : 0));
        std::size_t rows = 0;
        for (auto const& region : tensor.regions) {
            rows += region.rows.count;
            check(region.cols.count == tensor.cols());
        }
        check(tensor.regions.empty() || rows == tensor.rows());
    }
    check(!io::content_sha256(index).empty());
}

}  // namespace

/// HDF5 1.10 loses memory where it refuses to make a data set, as it does for many inputs.
extern "C" char const* __asan_default_options() { return "detect_leaks=0"; }

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    io::start_h5();
    static std::array const files{made_file(false), made_file(true)};
    static io::TemporaryFolder const folder;
    Input input({data, size});
    bool const part = input.byte() % 2 == 1;
    auto const path = folder.write("m.h5", files[part ? 1 : 0]);
    change_file(path, input);
    try {
        check_index(part ? io::read_part_index(path) : io::read_model_index(path));
    } catch (kernels::InputError const&) {
    }
    return 0;
}
