# cmake -D INPUT=file -D OUTPUT=file.cpp -D NAMESPACE=a::b -D NAME=name -P embed_text.cmake
#
# Writes a source that defines `std::string_view NAME()`: the text of INPUT. One literal, of which compilers need not
# take more than 64 KiB.
file(READ ${INPUT} text)
string(LENGTH "${text}" length)
if(length GREATER 65000)
  message(FATAL_ERROR "${INPUT} has ${length} bytes: too many for one string literal, which may have 65000")
endif()
if(text MATCHES "\\)embedded\"")
  message(FATAL_ERROR "${INPUT} contains the end of a raw string, )embedded\"")
endif()
file(WRITE ${OUTPUT} "#include <string_view>

namespace ${NAMESPACE} {
namespace {

constexpr std::string_view text = R\"embedded(${text})embedded\";

}  // namespace

std::string_view ${NAME}();
std::string_view ${NAME}() { return text; }

}  // namespace ${NAMESPACE}
")
