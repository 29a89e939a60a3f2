#include "model/decoder_config.hpp"

#include "kernels/error.hpp"

namespace tesserank::model {

void DecoderConfig::check() const {
    using kernels::InputError;
    using std::to_string;
    if (query_heads % kv_heads != 0) {
        throw InputError("config.json: num_attention_heads " + to_string(query_heads) +
                         " is not a multiple of num_key_value_heads " + to_string(kv_heads));
    }
    if (head_dim % 2 != 0 || head_dim < 4) {
        throw InputError("config.json: head_dim is " + to_string(head_dim) +
                         ", expected an even number of at least 4 for the rotary embedding");
    }
    for (auto const id : eos_ids) {
        if (static_cast<std::size_t>(id) >= vocabulary) {
            throw InputError("config.json: eos_token_id " + to_string(id) +
                             " lies outside the vocabulary of " + to_string(vocabulary));
        }
    }
    if (vision) vision->check();
}

}  // namespace tesserank::model
