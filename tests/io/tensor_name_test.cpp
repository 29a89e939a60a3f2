#include "io/model_file/tensor_name.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

TEST(TensorName, BecomesAPathAndBack) {
    for (std::string const name :
         {"a", "model.layers.0.mlp.down_proj.weight", "x-y.z_1", "caf\xc3\xa9.weight"}) {
        EXPECT_EQ(tensor_of_path(path_of_tensor(name)), name);
    }
    EXPECT_EQ(path_of_tensor("model.norm.weight"), "model/norm/weight");
}

TEST(TensorName, NamesThatWouldNotComeBackAreRefused) {
    std::string deep = "a";
    for (int i = 0; i < 40; ++i) deep += ".a";
    for (std::string const& name :
         {std::string(), std::string("."), std::string(".a"), std::string("a."),
          std::string("a..b"), std::string("a/b"), std::string("a\nb"), std::string("a\0b", 3),
          std::string("\x7f"), std::string(2000, 'a'), deep}) {
        EXPECT_THROW(path_of_tensor(name), kernels::InputError) << name;
    }
    EXPECT_THROW(tensor_of_path("a.b"), kernels::InputError);
    EXPECT_THROW(tensor_of_path("a//b"), kernels::InputError);
}

TEST(TensorName, MessagesHoldNoControlCharacters) {
    try {
        path_of_tensor("\x1b[2J");
        FAIL();
    } catch (kernels::InputError const& error) {
        EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos);
    }
}

}  // namespace
}  // namespace tesserank::io
