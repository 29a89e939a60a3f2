#pragma once

#include "kernels/backend.hpp"
#include "model/qk_norm.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace tesserank::model {

/// The original tensor names of a vision encoder and its projector; those of a layer stand behind
/// `layer_prefix` + number + ".". Linear layers and norms are named without ".weight" and ".bias".
struct VisionNames {
    std::string patch = "vision_model.embeddings.patch_embedding";
    std::string class_token = "vision_model.embeddings.class_embedding";
    std::string positions = "vision_model.embeddings.position_embedding";
    std::string layer_prefix = "vision_model.encoder.layers.";
    std::string attention_norm = "norm1", mlp_norm = "norm2";
    std::string qkv = "attn.qkv";  ///< the rows of q, of k, of v; empty where they are apart
    std::string query, key, value;
    std::string query_norm = "attn.q_norm", key_norm = "attn.k_norm";
    std::string output = "attn.proj";
    std::string attention_scale = "ls1", mlp_scale = "ls2";
    std::string up = "mlp.fc1", down = "mlp.fc2";
    std::string projector_norm = "mlp1.0", projector_up = "mlp1.1", projector_down = "mlp1.3";
};

/// A vision transformer with the projector behind it, as in InternVL: tiles of a picture become
/// features that stand in a prompt in place of tokens. Every number in which such encoders differ;
/// checked once, by check().  Source: https://arxiv.org/abs/2312.14238
struct VisionConfig {
    enum class Norm : std::uint8_t { layer, rms };

    std::size_t hidden = 0;        ///< Hv
    std::size_t intermediate = 0;  ///< Iv
    std::size_t layers = 0;        ///< that are computed, up to the selected one
    std::size_t file_layers = 0;   ///< that the file has
    std::size_t heads = 0;         ///< Q, as many kv heads
    std::size_t head_dim = 0;      ///< Hv / Q
    std::size_t channels = 3;
    std::size_t patch = 14;        ///< pixels of a patch's side
    std::size_t side = 448;        ///< pixels of a tile's side
    std::size_t table_side = 448;  ///< the side that the table of positions is made for
    Norm norm = Norm::layer;
    float norm_eps = 1e-6F;
    bool qkv_bias = true;
    QkNorm qk_norm = QkNorm::none;  ///< none or whole
    float qk_norm_eps = 1e-6F;
    kernels::Activation activation = kernels::Activation::gelu;
    std::size_t shuffle = 2;  ///< so many by so many patches become one feature
    /// Features go down the columns of the grid of patches: version 1 of pixel shuffle.
    bool by_columns = false;
    std::size_t features = 0;  ///< columns of a feature: the hidden size of the language model
    float projector_eps = 1e-5F;
    kernels::Activation projector_activation = kernels::Activation::gelu;
    VisionNames names;

    /// Numbers of a patch, a row of the patch embedding's product.
    std::size_t patch_width() const { return channels * patch * patch; }
    std::size_t patches_across() const { return side / patch; }
    /// Of a decoded tile: 8 bits for each channel of a pixel.
    std::size_t tile_bytes() const { return channels * side * side; }
    std::size_t patches() const { return patches_across() * patches_across(); }  ///< of a tile
    std::size_t table_patches() const {
        return (table_side / patch) * (table_side / patch);
    }  ///< that the table of positions has
    std::size_t rows_per_tile() const { return 1 + patches(); }  ///< class token first
    std::size_t shuffled() const { return hidden * shuffle * shuffle; }
    std::size_t features_per_tile() const { return patches() / (shuffle * shuffle); }

    /// Errors: InputError naming the numbers that do not fit each other.
    void check() const;
};

}  // namespace tesserank::model
