#include "io/requests/prompt.hpp"

#include "io/images/data_url.hpp"
#include "io/requests/encode_text.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::io {
namespace {

using detail::FieldNames;
using kernels::InputError;
using model::Placeholders;

FieldNames constexpr prompt_names{.text = "prompt", .tokens = "tokens"};
FieldNames constexpr messages_names{.text = "messages", .tokens = "tokens"};
FieldNames constexpr completion_names{.text = "completion", .tokens = "completion_tokens"};

/// What InternVL's code puts around the placeholders of a picture; in both layouts.
constexpr std::string_view before_picture = "<img>", after_picture = "</img>";

/// A picture in messages: `images[1] ("a.png")`.
std::string name_of(std::size_t index, std::string const& source) {
    return "images[" + std::to_string(index) + "] (" +
           (is_data_url(source) ? "a data URL" : quote_name(source)) + ")";
}

/// The tokens that a picture takes in a prompt, besides its frame.
std::size_t features_of(model::Picture const& picture, PicturePrompts const& prompts) {
    return picture.tiles * prompts.features_per_tile;
}

/// Decodes pictures until they alone are too long for the context: each may take seconds.
std::vector<model::Picture> load_pictures(std::vector<std::string> const& images,
                                          RequestLimits const& limits,
                                          PicturePrompts const& prompts) {
    std::vector<model::Picture> pictures;
    std::size_t features = 0;
    for (auto const& source : images) {
        try {
            pictures.push_back(load_tiles(source, prompts.options));
        } catch (InputError const& error) {
            throw InputError(name_of(pictures.size(), source) + ": " + error.what());
        }
        features += features_of(pictures.back(), prompts);
        if (features < limits.max_length) continue;
        throw InputError("images: the first " + std::to_string(pictures.size()) + " of " +
                         std::to_string(images.size()) + " take " + std::to_string(features) +
                         " tokens, expected fewer than " + describe_length(limits) +
                         "; --max-tiles bounds the tiles of a picture");
    }
    return pictures;
}

std::vector<Placeholders> find_runs(std::vector<std::int32_t> const& tokens,
                                    std::int32_t placeholder) {
    std::vector<Placeholders> runs;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] != placeholder) continue;
        if (runs.empty() || runs.back().position + runs.back().count != i) runs.push_back({i, 0});
        ++runs.back().count;
    }
    return runs;
}

/// Errors: InputError unless the runs have room for the features of one picture after another, none
/// of them torn apart.
void check_runs(std::vector<Placeholders> const& runs, std::vector<model::Picture> const& pictures,
                PicturePrompts const& prompts) {
    std::size_t picture = 0;
    for (auto const& run : runs) {
        std::size_t left = run.count;
        while (left > 0 && picture < pictures.size() &&
               features_of(pictures[picture], prompts) <= left) {
            left -= features_of(pictures[picture++], prompts);
        }
        if (left == 0) continue;
        std::string const expected = picture == pictures.size()
                                         ? "none, as there are no more images"
                                         : std::to_string(features_of(pictures[picture], prompts)) +
                                               " for images[" + std::to_string(picture) +
                                               "], which has " +
                                               std::to_string(pictures[picture].tiles) + " tiles";
        throw InputError("tokens[" + std::to_string(run.position + run.count - left) + "]: found " +
                         std::to_string(left) + " placeholders of pictures, expected " + expected);
    }
    if (picture == pictures.size()) return;
    throw InputError("tokens: no placeholders are left for images[" + std::to_string(picture) +
                     "], expected " + std::to_string(features_of(pictures[picture], prompts)) +
                     " times the token " + std::to_string(*prompts.placeholder));
}

/// Makes each placeholder, which stands for a picture, as many as the picture has features.
Prompt expand(std::vector<std::int32_t> const& tokens, std::vector<model::Picture>&& pictures,
              PicturePrompts const& prompts) {
    Prompt prompt;
    std::size_t picture = 0;
    for (auto const token : tokens) {
        bool const stands_for_picture = token == *prompts.placeholder;
        std::size_t const count =
            stands_for_picture ? features_of(pictures[picture++], prompts) : 1;
        if (stands_for_picture) prompt.pictures.places.push_back({prompt.tokens.size(), count});
        prompt.tokens.insert(prompt.tokens.end(), count, token);
    }
    prompt.pictures.pictures = std::move(pictures);
    return prompt;
}

/// A text with one placeholder, in its frame, for each picture.
std::string join(PicturedText const& text, std::string_view placeholder) {
    std::string joined = text.texts.front();
    for (std::size_t i = 1; i < text.texts.size(); ++i) {
        joined += before_picture;
        joined += placeholder;
        joined += after_picture;
        joined += text.texts[i];
    }
    return joined;
}

PicturedText place_images(std::string&& text, std::size_t images) {
    PicturedText whole(std::move(text));
    if (images == 0) return whole;
    auto marked = split_at_marks(whole);
    if (marked.pictures() == 0) return put_in_front(images, whole);
    if (marked.pictures() == images) return marked;
    throw InputError("prompt: found " + std::to_string(marked.pictures()) + " marks " +
                     std::string(picture_mark) + ", expected one for each of " +
                     std::to_string(images) + " images, or none");
}

/// Makes one prompt; what its steps share.
class PromptMaker {
  public:
    PromptMaker(std::vector<std::string> const& images, RequestLimits const& limits,
                PromptTools const& tools)
        : images_{images},
          limits_{limits},
          tools_{tools},
          prompts_{std::get_if<PicturePrompts>(&tools.pictures)} {
        if (images.empty()) return;
        if (prompts_ == nullptr) {
            throw InputError("images: " + std::get<std::string>(tools.pictures));
        }
        if (!prompts_->placeholder) {
            throw InputError(
                "images: neither a tokenizer nor the model's config says which token "
                "stands for a picture: give its id by --image-token");
        }
    }

    Prompt operator()(std::vector<std::int32_t>&& tokens) const {
        if (tokens.empty()) throw InputError("tokens: is empty, expected at least one token");
        detail::check_tokens(tokens, limits_.vocabulary, prompt_names.tokens);
        Prompt prompt{.tokens = std::move(tokens), .pictures = {}, .turn_end = {}};
        if (prompts_ == nullptr || !prompts_->placeholder) return prompt;
        prompt.pictures = {.pictures = load_pictures(images_, limits_, *prompts_),
                           .places = find_runs(prompt.tokens, *prompts_->placeholder)};
        check_runs(prompt.pictures.places, prompt.pictures.pictures, *prompts_);
        return prompt;
    }

    Prompt operator()(std::string&& text) const {
        if (text.empty()) throw InputError("prompt: is empty, expected at least one token");
        return encode(place_images(std::move(text), images_.size()), prompt_names, true);
    }

    Prompt operator()(std::vector<ChatMessage>&& messages) const {
        auto const* const format = std::get_if<ChatFormat>(&tools_.chat);
        if (format == nullptr) {
            throw InputError("messages: " + std::get<std::string>(tools_.chat) +
                             R"(; give "prompt" or "tokens")");
        }
        auto prompt = encode(render(*format, messages), messages_names, format->add_special_tokens);
        prompt.turn_end = tools_.tokenizer->id_of(format->turn_end);
        return prompt;
    }

  private:
    Prompt encode(PicturedText const& text, FieldNames names, bool add_special) const {
        auto const* const tokenizer = tools_.tokenizer;
        bool const takes_pictures = tokenizer != nullptr && prompts_ && prompts_->placeholder;
        auto const name = takes_pictures ? tokenizer->token(*prompts_->placeholder) : "";
        auto tokens = detail::encode_text(
            join(text, name), names,
            add_special ? Tokenizer::SpecialTokens::add : Tokenizer::SpecialTokens::omit, limits_,
            tokenizer);
        detail::check_tokens(tokens, limits_.vocabulary, names.text);
        if (!takes_pictures) return {.tokens = std::move(tokens), .pictures = {}, .turn_end = {}};
        auto const found =
            static_cast<std::size_t>(std::ranges::count(tokens, *prompts_->placeholder));
        if (found > images_.size()) {
            throw InputError(std::string(names.text) + ": contains the text " + quote_start(name) +
                             ", which stands for a part of a picture: write " +
                             std::string(picture_mark) + " where a picture goes");
        }
        if (found < images_.size()) {
            throw InputError("images: the tokenizer does not take the text " + quote_start(name) +
                             " for one token; give \"tokens\", with the placeholders in them");
        }
        return expand(tokens, load_pictures(images_, limits_, *prompts_), *prompts_);
    }

    std::vector<std::string> const& images_;
    RequestLimits const& limits_;
    PromptTools const& tools_;
    PicturePrompts const* prompts_;  ///< null where the model takes no pictures
};

}  // namespace

Prompt make_prompt(PromptInput&& input, std::vector<std::string> const& images,
                   RequestLimits const& limits, PromptTools const& tools) {
    return std::visit(PromptMaker(images, limits, tools), std::move(input));
}

std::vector<std::int32_t> make_completion(TextOrTokens&& input, RequestLimits const& limits,
                                          Tokenizer const* tokenizer) {
    auto* const given = std::get_if<std::vector<std::int32_t>>(&input);
    auto tokens = given != nullptr
                      ? std::move(*given)
                      : detail::encode_text(std::get<std::string>(input), completion_names,
                                            Tokenizer::SpecialTokens::omit, limits, tokenizer);
    if (tokens.empty())
        throw InputError("completion_tokens: is empty, expected at least one token");
    detail::check_tokens(tokens, limits.vocabulary, completion_names.tokens);
    return tokens;
}

}  // namespace tesserank::io
