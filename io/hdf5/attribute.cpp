#include "io/hdf5/attribute.hpp"

#include "io/hdf5/error.hpp"
#include "io/hdf5/type.hpp"

#include <algorithm>
#include <cstring>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::size_t most_texts_bytes = std::size_t{64} << 20;

std::string quoted(char const* name) { return "attribute \"" + std::string(name) + "\""; }

H5Space scalar_space() { return own_h5<H5Space>(H5Screate(H5S_SCALAR), "H5Screate"); }

H5Space list_space(std::size_t count) {
    hsize_t const size = count;
    return own_h5<H5Space>(H5Screate_simple(1, &size, nullptr), "H5Screate_simple");
}

void write(hid_t object, char const* name, H5Space const& space, hid_t type, void const* data) {
    auto const attribute = own_h5<H5Attribute>(
        H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), quoted(name));
    if (data != nullptr) check_h5(H5Awrite(attribute.get(), type, data), quoted(name));
}

H5Attribute open(hid_t object, char const* name) {
    if (check_h5(H5Aexists(object, name), quoted(name)) == 0) {
        throw InputError(quoted(name) + " is missing");
    }
    return own_h5<H5Attribute>(H5Aopen(object, name, H5P_DEFAULT), quoted(name));
}

/// The number of elements of a scalar (1) or a list.
std::size_t count_of(H5Attribute const& attribute, char const* name) {
    auto const space = own_h5<H5Space>(H5Aget_space(attribute.get()), quoted(name));
    if (H5Sget_simple_extent_ndims(space.get()) > 1) {
        throw InputError(quoted(name) + " has more than one dimension");
    }
    auto const count = check_h5(H5Sget_simple_extent_npoints(space.get()), quoted(name));
    return static_cast<std::size_t>(count);
}

/// Checks that the attribute holds fixed-size text; the bytes of one element.
std::size_t text_bytes(H5Type const& type, char const* name) {
    if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0) {
        throw InputError(quoted(name) + " is not text of a fixed size");
    }
    return H5Tget_size(type.get());
}

std::vector<std::uint64_t> read_numbers(hid_t object, char const* name, std::size_t expected) {
    auto const attribute = open(object, name);
    auto const type = own_h5<H5Type>(H5Aget_type(attribute.get()), quoted(name));
    if (H5Tequal(type.get(), H5T_STD_U64LE) <= 0) {
        throw InputError(quoted(name) + " is not made of unsigned 64-bit numbers");
    }
    auto const count = count_of(attribute, name);
    if (count != expected) {
        throw InputError(quoted(name) + " has " + std::to_string(count) + " numbers, expected " +
                         std::to_string(expected));
    }
    std::vector<std::uint64_t> numbers(count);
    if (count > 0) {
        check_h5(H5Aread(attribute.get(), H5T_STD_U64LE, numbers.data()), quoted(name));
    }
    return numbers;
}

}  // namespace

void write_text_attribute(hid_t object, char const* name, std::string const& text) {
    write(object, name, scalar_space(), h5_text_type(text.size()).get(), text.data());
}

void write_texts_attribute(hid_t object, char const* name, std::span<std::string const> texts) {
    std::size_t longest = 1;
    for (auto const& text : texts) longest = std::max(longest, text.size());
    std::string padded;
    for (auto const& text : texts) padded += text + std::string(longest - text.size(), '\0');
    write(object, name, list_space(texts.size()), h5_text_type(longest).get(),
          texts.empty() ? nullptr : padded.data());
}

void write_number_attribute(hid_t object, char const* name, std::uint64_t number) {
    write(object, name, scalar_space(), H5T_STD_U64LE, &number);
}

void write_numbers_attribute(hid_t object, char const* name,
                             std::span<std::uint64_t const> numbers) {
    write(object, name, list_space(numbers.size()), H5T_STD_U64LE,
          numbers.empty() ? nullptr : numbers.data());
}

void rewrite_numbers_attribute(hid_t object, char const* name,
                               std::span<std::uint64_t const> numbers) {
    auto const attribute = open(object, name);
    kernels::require(count_of(attribute, name) == numbers.size(), "the attribute has another size");
    if (numbers.empty()) return;
    check_h5(H5Awrite(attribute.get(), H5T_STD_U64LE, numbers.data()), quoted(name));
}

std::string read_text_attribute(hid_t object, char const* name) {
    auto const texts = read_texts_attribute(object, name);
    if (texts.size() != 1) throw InputError(quoted(name) + " is not one text");
    return texts.front();
}

std::vector<std::string> read_texts_attribute(hid_t object, char const* name) {
    auto const attribute = open(object, name);
    auto const type = own_h5<H5Type>(H5Aget_type(attribute.get()), quoted(name));
    auto const bytes = text_bytes(type, name);
    auto const count = count_of(attribute, name);
    if (bytes > most_texts_bytes || count > most_texts_bytes / std::max<std::size_t>(bytes, 1)) {
        throw InputError(quoted(name) + " is too long");
    }
    std::string joined(bytes * count, '\0');
    if (count > 0) check_h5(H5Aread(attribute.get(), type.get(), joined.data()), quoted(name));
    std::vector<std::string> texts;
    texts.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto const* const text = joined.data() + i * bytes;
        texts.emplace_back(text, strnlen(text, bytes));
    }
    return texts;
}

std::uint64_t read_number_attribute(hid_t object, char const* name) {
    return read_numbers(object, name, 1).front();
}

std::size_t count_numbers_attribute(hid_t object, char const* name) {
    return count_of(open(object, name), name);
}

std::vector<std::uint64_t> read_numbers_attribute(hid_t object, char const* name,
                                                  std::size_t expected_count) {
    return read_numbers(object, name, expected_count);
}

}  // namespace tesserank::io
