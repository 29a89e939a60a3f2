#pragma once

#include "io/input_file.hpp"
#include "io/requests/config_json.hpp"
#include "io/safetensors/reader.hpp"
#include "kernels/error.hpp"
#include "model/architecture.hpp"
#include "model/weight_source.hpp"
#include "tests/io/expected_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::test {

/// A case of tests/golden: the checkpoint in memory, and what it must give.
class GoldenModel final : public model::WeightSource {
  public:
    GoldenModel(std::string const& name, int rank)
        : folder_{TESSERANK_SOURCE_DIR "/tests/golden/models/" + name}, rank_{rank} {
        auto const path = folder_ + "/config.json";
        config = model::describe_model(io::parse_config(io::read_text_file(path, 1 << 20), path));
        io::SafetensorsReader const reader(folder_);
        for (auto const& file : reader.files()) read(file);
        read_expected();
    }

    model::DecoderConfig config;
    std::vector<std::vector<std::int32_t>> prompts, tokens;  ///< tokens: the greedy ones
    std::vector<std::vector<float>> last_logits;             ///< behind each prompt
    std::vector<std::int32_t> eos;
    double tolerance = 0.0;  ///< of a logit in f32

    std::string const& folder() const { return folder_; }

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return infos_;
    }

    void load(std::span<model::WeightRequest const> requests) override {
        for (auto const& request : requests) {
            auto const& region = request.regions[static_cast<std::size_t>(rank_)];
            auto const& info = infos_.at(request.tensor);
            std::size_t const size = kernels::size_of(info.dtype);
            std::size_t const width = model::matrix_of(info.shape).cols;
            for (std::size_t r = 0; r < region.rows.count && region.cols.count > 0; ++r) {
                auto const from = ((region.rows.begin + r) * width + region.cols.begin) * size;
                std::memcpy(request.destination.data + r * request.destination.stride * size,
                            bytes_.at(request.tensor).data() + from, region.cols.count * size);
            }
        }
    }

  private:
    void read(io::SafetensorsFile const& file) {
        io::InputFile const input(file.path);
        for (auto const& tensor : file.tensors) {
            auto const dtype = io::weight_dtype(tensor.dtype);
            infos_[tensor.name] = {dtype.value(), tensor.shape};
            auto& memory = bytes_[tensor.name];
            memory.resize(tensor.bytes);
            input.read(tensor.offset, memory);
        }
    }

    void read_expected() {
        ExpectedFile const file(folder_ + "/expected/expected.h5");
        auto const flat = file.integers("prompts/tokens");
        auto const offsets = file.integers("prompts/offsets");
        auto const greedy = file.integers("greedy/tokens");
        auto const lengths = file.integers("greedy/lengths");
        auto const logits = file.floats("logits/last");
        eos = file.integers("eos");
        std::size_t const count = lengths.size(), most = greedy.size() / count;
        for (std::size_t i = 0; i < count; ++i) {
            prompts.emplace_back(flat.begin() + offsets[i], flat.begin() + offsets[i + 1]);
            auto const begin = greedy.begin() + static_cast<std::ptrdiff_t>(i * most);
            tokens.emplace_back(begin, begin + lengths[i]);
            auto const row = logits.begin() + static_cast<std::ptrdiff_t>(i * config.vocabulary);
            last_logits.emplace_back(row, row + static_cast<std::ptrdiff_t>(config.vocabulary));
        }
        read_tolerance();
    }

    void read_tolerance() {
        auto const path = folder_ + "/expected/case.json";
        auto const value = io::parse_config(io::read_text_file(path, 1 << 20), path);
        auto const& object = std::get<model::ConfigValue::Object>(value.value);
        auto const& all = std::get<model::ConfigValue::Object>(object.at("tolerance").value);
        tolerance = std::get<double>(all.at("f32_logit_abs").value);
    }

    std::string folder_;
    int rank_;
    std::map<std::string, model::TensorInfo, std::less<>> infos_;
    std::map<std::string, std::vector<std::byte>> bytes_;
};

}  // namespace tesserank::test
