#include "io/model_file/cast.hpp"

#include "kernels/error.hpp"

#include <cstring>
#include <limits>

namespace tesserank::io {
namespace {

/// Calls visitor with a value of the C++ type of a floating-point type.
template <class Visitor>
void visit_float(SafetensorsDType dtype, Visitor&& visitor) {
    if (dtype == SafetensorsDType::f64) return visitor(double{});
    kernels::visit_dtype(weight_dtype(dtype).value(), visitor);
}

/// Rounds to float so that a second rounding to 16 bits gives what one rounding would: an inexact
/// result is made odd in its last bit (round to odd), which the second rounding sees as "more than"
/// or "less than" a tie. Source: Boldo and Melquiond 2008, https://doi.org/10.1109/TC.2007.70819
float round_to_odd(double value) {
    auto const nearest = static_cast<float>(value);
    auto const back = static_cast<double>(nearest);
    if (back == value || value != value) return nearest;
    auto bits = std::bit_cast<std::uint32_t>(nearest);
    bool const away = (back > value) == (value > 0);
    if (away) --bits;  // now truncated towards zero
    return std::bit_cast<float>(bits | 1U);
}

template <class To>
To convert(double value) {
    return kernels::from_float<To>(round_to_odd(value));
}
template <>
float convert<float>(double value) {
    return static_cast<float>(value);
}

template <class From, class To>
void cast_elements(std::byte const* source, std::byte* destination, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        From from;
        std::memcpy(&from, source + i * sizeof(From), sizeof(From));
        To to;
        if constexpr (std::is_same_v<From, double>) {
            to = convert<To>(from);
        } else {
            to = kernels::from_float<To>(kernels::to_float(from));
        }
        std::memcpy(destination + i * sizeof(To), &to, sizeof(To));
    }
}

}  // namespace

void cast(SafetensorsDType from, std::span<std::byte const> source, kernels::DType to,
          std::span<std::byte> destination) {
    auto const count = source.size() / size_of(from);
    kernels::require(count * kernels::size_of(to) == destination.size(), "element counts differ");
    if (weight_dtype(from) == to && from != SafetensorsDType::f64) {
        std::memcpy(destination.data(), source.data(), source.size());
        return;
    }
    visit_float(from, [&]<class From>(From) {
        kernels::visit_dtype(to, [&]<class To>(To) {
            cast_elements<From, To>(source.data(), destination.data(), count);
        });
    });
}

}  // namespace tesserank::io
