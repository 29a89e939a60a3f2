#pragma once

#include "io/hdf5/handle.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

/// Attributes of a file, group or data set: text and whole numbers, in one exact type each. Texts
/// of a list are padded to the longest. Errors of all: H5Error; what is read is checked against
/// its expected type and size before memory is taken, and refused with an InputError.
void write_text_attribute(hid_t object, char const* name, std::string const& text);
void write_texts_attribute(hid_t object, char const* name, std::span<std::string const> texts);
void write_number_attribute(hid_t object, char const* name, std::uint64_t number);
void write_numbers_attribute(hid_t object, char const* name,
                             std::span<std::uint64_t const> numbers);
/// Of one that is there and holds as many.
void rewrite_numbers_attribute(hid_t object, char const* name,
                               std::span<std::uint64_t const> numbers);

std::string read_text_attribute(hid_t object, char const* name);
std::vector<std::string> read_texts_attribute(hid_t object, char const* name);
std::uint64_t read_number_attribute(hid_t object, char const* name);
std::size_t count_numbers_attribute(hid_t object, char const* name);
std::vector<std::uint64_t> read_numbers_attribute(hid_t object, char const* name,
                                                  std::size_t expected_count);

}  // namespace tesserank::io
