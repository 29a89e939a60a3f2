#include "io/model_file/convert.hpp"

#include "io/input_file.hpp"
#include "io/model_file/cast.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/sha256.hpp"
#include "io/safetensors/reader.hpp"
#include "kernels/error.hpp"
#include "tests/io/safetensors_bytes.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <map>

namespace tesserank::io {
namespace {

using kernels::DType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string const golden = TESSERANK_SOURCE_DIR "/tests/golden/models/";

std::vector<std::byte> bytes_at(std::string const& path, std::size_t offset, std::size_t bytes) {
    std::vector<std::byte> result(bytes);
    InputFile(path).read(offset, result);
    return result;
}

/// Every weight of the checkpoint stands in the model file, cast to `dtype`.
void expect_same_weights(std::string const& source, std::string const& model,
                         std::optional<DType> dtype) {
    auto const index = read_model_index(model);
    std::map<std::string, StoredTensor> stored;
    for (auto const& tensor : index.tensors) stored[tensor.name] = tensor;
    SafetensorsReader const reader(source);
    for (auto const& file : reader.files()) {
        for (auto const& tensor : file.tensors) {
            ASSERT_TRUE(stored.contains(tensor.name)) << tensor.name;
            auto const& found = stored.at(tensor.name);
            EXPECT_EQ(found.shape, tensor.shape);
            EXPECT_EQ(found.dtype, dtype.value_or(*weight_dtype(tensor.dtype)));
            auto const original = bytes_at(file.path, tensor.offset, tensor.bytes);
            std::vector<std::byte> expected(found.bytes);
            cast(tensor.dtype, original, found.dtype, expected);
            EXPECT_EQ(bytes_at(model, found.offset, found.bytes), expected) << tensor.name;
            EXPECT_TRUE(dtype.has_value() || expected == original) << tensor.name;
            stored.erase(tensor.name);
        }
    }
    EXPECT_TRUE(stored.empty());
}

class ConvertGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(ConvertGolden, KeepsEveryBitAndText) {
    TemporaryFolder const folder;
    auto const source = golden + GetParam();
    auto const model = folder.path("m.h5");
    auto const report = convert_checkpoint({.source_folder = source, .model_path = model});
    expect_same_weights(source, model, std::nullopt);
    auto const index = read_model_index(model);
    EXPECT_EQ(report.tensors, index.tensors.size());
    EXPECT_TRUE(report.skipped.empty());
    for (auto const& file : index.sources) {
        auto const text = read_text_file(source + "/" + file.name, std::size_t{1} << 30);
        EXPECT_EQ(sha256_of(text), file.sha256) << file.name;
    }
    for (std::string const name :
         {"config", "generation_config", "tokenizer", "tokenizer_config", "preprocessor_config"}) {
        auto const path = source + "/" + name + ".json";
        ASSERT_EQ(std::filesystem::exists(path), index.find_document(name) != nullptr) << name;
        if (std::filesystem::exists(path)) {
            EXPECT_EQ(*index.find_document(name), read_text_file(path, 1 << 30));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, ConvertGolden,
                         ::testing::Values("internvl-hf", "internvl-orig-25heads-bf16",
                                           "internvl-orig-psv1-bf16", "internvl-orig-qwen2",
                                           "llama-5heads-kv1", "llama-gqa-rope3",
                                           "llama-gqa-rope3-bf16", "mistral-swa8",
                                           "mixtral-4x2-bf16", "qwen2-tied-kv3", "qwen3-qknorm",
                                           "qwen3moe-6x2"),
                         [](auto const& test) {
                             auto name = test.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Convert, CastsEveryWeight) {
    TemporaryFolder const folder;
    for (auto const dtype : {DType::f32, DType::bf16, DType::f16}) {
        for (std::string const name : {"llama-gqa-rope3", "llama-gqa-rope3-bf16"}) {
            convert_checkpoint({.source_folder = golden + name,
                                .model_path = folder.path("m.h5"),
                                .dtype = dtype,
                                .existing = Existing::replace});
            expect_same_weights(golden + name, folder.path("m.h5"), dtype);
        }
    }
}

/// A folder with config.json and one safetensors file.
void write_checkpoint(TemporaryFolder const& folder, std::string const& header,
                      std::string const& data) {
    folder.write("config.json", "{}");
    folder.write("model.safetensors", safetensors_bytes(header, data));
}

std::string error_of(TemporaryFolder const& folder) {
    try {
        convert_checkpoint({.source_folder = folder.path(""), .model_path = folder.path("m.h5")});
    } catch (kernels::InputError const& error) {
        EXPECT_FALSE(folder.has("m.h5"));
        EXPECT_FALSE(folder.has("m.h5.partial"));
        return error.what();
    }
    return "no error";
}

TEST(Convert, WholeNumbersAreNoWeights) {
    TemporaryFolder const folder;
    write_checkpoint(folder,
                     R"({"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
                     R"("w":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},)"
                     R"("mask":{"dtype":"BOOL","shape":[1],"data_offsets":[24,25]}})",
                     std::string(25, '\0'));
    auto const report =
        convert_checkpoint({.source_folder = folder.path(""), .model_path = folder.path("m.h5")});
    EXPECT_THAT(report.skipped, ElementsAre("ids", "mask"));
    auto const index = read_model_index(folder.path("m.h5"));
    ASSERT_EQ(index.tensors.size(), 1U);
    EXPECT_EQ(index.tensors[0].dtype, DType::f32);
}

TEST(Convert, NamesThatExcludeEachOtherAreRefused) {
    TemporaryFolder const folder;
    write_checkpoint(folder,
                     R"({"a.b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                     R"("a.b.c":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                     "12345678");
    EXPECT_THAT(error_of(folder), HasSubstr("\"a.b\" and \"a.b.c\" cannot both be kept"));
    write_checkpoint(folder, R"({"a/b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234");
    EXPECT_THAT(error_of(folder), HasSubstr("contains '/'"));
}

TEST(Convert, TextsMustBeRight) {
    TemporaryFolder const folder;
    auto const header = one_tensor_header("F32", "[1]", "[0,4]");
    write_checkpoint(folder, header, "1234");
    EXPECT_EQ(error_of(folder), "no error");
    std::filesystem::remove(folder.path("m.h5"));
    folder.write("tokenizer.json", "{\"a\":");
    EXPECT_THAT(error_of(folder), HasSubstr("tokenizer.json: not valid JSON"));
    std::filesystem::remove(folder.path("tokenizer.json"));
    std::filesystem::remove(folder.path("config.json"));
    EXPECT_THAT(error_of(folder), HasSubstr("config.json is missing"));
    write_checkpoint(folder, "{}", "");
    EXPECT_THAT(error_of(folder), HasSubstr("has no weights"));
}

TEST(Convert, AnExistingFileIsReplacedOnlyOnRequest) {
    TemporaryFolder const folder;
    auto const model = folder.write("m.h5", "precious");
    ConvertOptions options{.source_folder = golden + "mistral-swa8", .model_path = model};
    EXPECT_THROW(convert_checkpoint(options), kernels::InputError);
    EXPECT_EQ(folder.read("m.h5"), "precious");
    options.existing = Existing::replace;
    convert_checkpoint(options);
    EXPECT_FALSE(read_model_index(model).tensors.empty());
}

TEST(Convert, AFileMadeMeanwhileIsKept) {
    TemporaryFolder const folder;
    ConvertOptions options{
        .source_folder = golden + "mistral-swa8",
        .model_path = folder.path("m.h5"),
        .progress = [&](std::size_t, std::size_t) { folder.write("m.h5", "precious"); }};
    EXPECT_THAT([&] { convert_checkpoint(options); },
                ::testing::ThrowsMessage<kernels::InputError>(HasSubstr("made by another")));
    EXPECT_EQ(folder.read("m.h5"), "precious");
    EXPECT_FALSE(folder.has("m.h5.partial"));
    options.existing = Existing::replace;
    convert_checkpoint(options);
    EXPECT_FALSE(read_model_index(options.model_path).tensors.empty());
}

TEST(Convert, DoesNotReplaceItsOwnSource) {
    TemporaryFolder const folder;
    write_checkpoint(folder, one_tensor_header("F32", "[1]", "[0,4]"), "1234");
    folder.write("tokenizer.json", "{}");
    std::filesystem::create_symlink("config.json", folder.path("link"));
    for (std::string const name : {"model.safetensors", "config.json", "tokenizer.json", "link"}) {
        EXPECT_THROW(convert_checkpoint({.source_folder = folder.path(""),
                                         .model_path = folder.path(name),
                                         .existing = Existing::replace}),
                     kernels::InputError)
            << name;
    }
    EXPECT_EQ(SafetensorsReader(folder.path("")).files().size(), 1U);
    EXPECT_EQ(folder.read("config.json") + folder.read("tokenizer.json"), "{}{}");
}

TEST(Convert, ANameTooLongIsTheUsersMistake) {
    TemporaryFolder const folder;
    for (auto const existing : {Existing::keep, Existing::replace}) {
        EXPECT_THROW(convert_checkpoint({.source_folder = golden + "mistral-swa8",
                                         .model_path = folder.path(std::string(300, 'x')),
                                         .existing = existing}),
                     kernels::InputError);
    }
}

TEST(Convert, AFileReplacedMeanwhileIsRefused) {
    TemporaryFolder const folder;
    std::filesystem::copy(golden + "llama-gqa-rope3", folder.path("source"));
    auto const last = folder.path("source/model-00003-of-00003.safetensors");
    auto const replace = [&](std::size_t, std::size_t) {
        std::filesystem::copy(last, folder.path("other"),
                              std::filesystem::copy_options::overwrite_existing);
        std::filesystem::rename(folder.path("other"), last);
    };
    EXPECT_THAT(
        [&] {
            convert_checkpoint({.source_folder = folder.path("source"),
                                .model_path = folder.path("m.h5"),
                                .progress = replace});
        },
        ::testing::ThrowsMessage<kernels::InputError>(HasSubstr(last + ": has changed")));
    EXPECT_FALSE(folder.has("m.h5"));
}

TEST(Convert, ProgressEndsAtTheWhole) {
    TemporaryFolder const folder;
    std::size_t last = 0;
    std::size_t whole = 0;
    convert_checkpoint({.source_folder = golden + "llama-gqa-rope3",
                        .model_path = folder.path("m.h5"),
                        .progress = [&](std::size_t done, std::size_t total) {
                            EXPECT_GE(done, last);
                            last = done;
                            whole = total;
                        }});
    EXPECT_EQ(last, whole);
}

/// Lowers this process's limit on file sizes for a while; what is beyond fails as a full disk does.
class SmallFiles {
  public:
    explicit SmallFiles(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        rlimit const limit{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~SmallFiles() { setrlimit(RLIMIT_FSIZE, &before_); }
    SmallFiles(SmallFiles const&) = delete;
    SmallFiles& operator=(SmallFiles const&) = delete;

  private:
    rlimit before_{};
};

TEST(Convert, AFullDiskIsReportedAndNothingIsLeft) {
    TemporaryFolder const folder;
    ConvertOptions const options{.source_folder = golden + "llama-gqa-rope3-bf16",
                                 .model_path = folder.path("m.h5")};
    convert_checkpoint(options);
    auto const whole = std::filesystem::file_size(options.model_path);
    std::filesystem::remove(options.model_path);
    // From the first byte to the index at the end.
    for (std::size_t step = 0; step < 40; ++step) {
        auto const limit = step < 20 ? whole * step / 20 : whole - (step - 19) * 701;
        SmallFiles const small(limit);
        try {
            convert_checkpoint(options);
            ADD_FAILURE() << "no error with " << limit << " bytes";
        } catch (kernels::SystemError const& error) {
            EXPECT_THAT(error.what(), HasSubstr(options.model_path));
            EXPECT_THAT(error.what(), HasSubstr("File too large"));
        }
        EXPECT_FALSE(folder.has("m.h5.partial"));
        EXPECT_FALSE(folder.has("m.h5"));
    }
    EXPECT_GT(convert_checkpoint(options).tensors, 0U);
}

}  // namespace
}  // namespace tesserank::io
