#pragma once

#include "io/requests/request_keys.hpp"
#include "io/requests/request_line.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tesserank::io::detail {

/// A value as the parser meets it. Lists and objects are only named; a list's elements come one by
/// one.
struct ListValue {};
struct ObjectValue {};
using JsonScalar = std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double,
                                std::string, ListValue, ObjectValue>;

/// What is wrong with a value: "temperature: found 200, expected ...".
using Complaint = std::optional<std::string>;

JsonScalar scalar_of(nlohmann::json const& value);

bool takes_list(Key key);
/// Puts a value in its place in the line. Null counts as not given.
Complaint set_field(RequestLine& line, Key key, JsonScalar& value);
/// Appends an element of a list that `key` takes.
Complaint add_element(RequestLine& line, Key key, JsonScalar& value);
/// Starts the list of `key`, which may stay empty.
void start_list(RequestLine& line, Key key);

}  // namespace tesserank::io::detail
