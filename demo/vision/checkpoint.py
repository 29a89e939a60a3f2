"""The checkpoint as a folder: tokenizer, configuration and weights, written and read back."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from model import InternVL, TextShape, VisionShape
from pictures import MOST_TILES, SIDE
from sums import PICTURE_PROMPT, TEXT_PROMPT, Sum

END_OF_TEXT, IMAGE_START, IMAGE_END, IMAGE = "<|endoftext|>", "<img>", "</img>", "<IMG_CONTEXT>"
PICTURE = "<image>"  # in a prompt: here stands the next picture
MAX_NEW_TOKENS = 16
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# The pattern of Qwen2: every digit is a token of its own, words carry the space before them.
WORD_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer with the few words that occur."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=[END_OF_TEXT, IMAGE_START, IMAGE_END, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    texts = [PICTURE_PROMPT.replace(PICTURE, "")]
    for example in (Sum(47, "+", 38), Sum(85, "-", 38)):
        texts += [TEXT_PROMPT.format(sum=example.text), example.answer]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def prompt_tokens(tokenizer: Tokenizer, prompt: str, tiles: int, features: int) -> list[int]:
    """`<image>` becomes a placeholder for each of `features` features of each tile."""
    expanded = f"{IMAGE_START}{IMAGE * (tiles * features)}{IMAGE_END}"
    return tokenizer.encode(prompt.replace(PICTURE, expanded)).ids


def pixel_values(tiles: np.ndarray) -> torch.Tensor:
    """8-bit tiles [t, S, S, 3] -> [t, 3, S, S]"""
    values = (torch.from_numpy(tiles) / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    return values.permute(0, 3, 1, 2).contiguous()


def new_model(tokenizer: Tokenizer) -> InternVL:
    return InternVL(VisionShape(image_size=SIDE), TextShape(tokenizer.get_vocab_size()),
                    tokenizer.token_to_id(IMAGE))


def config_of(model: InternVL, end: int) -> dict:
    """The words that InternVL's own configuration has, as far as they matter."""
    return {
        "architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
        "force_image_size": SIDE, "select_layer": -1, "ps_version": "v2", "downsample_ratio": 0.5,
        "dynamic_image_size": True, "use_thumbnail": True,
        "min_dynamic_patch": 1, "max_dynamic_patch": MOST_TILES,
        "vision_config": {
            "architectures": ["InternVisionModel"], "model_type": "intern_vit_6b",
            "num_channels": 3, "norm_type": "layer_norm", "hidden_act": "gelu",
            "qkv_bias": True, "qk_normalization": False, **asdict(model.vision),
        },
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
            "hidden_act": "silu", "rope_scaling": None, "sliding_window": None,
            "use_sliding_window": False, "tie_word_embeddings": False, "eos_token_id": end,
            "torch_dtype": "bfloat16", **asdict(model.text),
        },
        "eos_token_id": end, "pad_token_id": end, "torch_dtype": "bfloat16",
    }


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_checkpoint(model: InternVL, tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(END_OF_TEXT)
    write_json(folder / "config.json", config_of(model, end))
    write_json(folder / "generation_config.json", {
        "eos_token_id": end, "pad_token_id": end, "do_sample": False,
        "max_new_tokens": MAX_NEW_TOKENS})
    write_json(folder / "preprocessor_config.json", {
        "feature_extractor_type": "CLIPFeatureExtractor", "crop_size": SIDE, "size": SIDE,
        "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3,
        "image_mean": MEAN, "image_std": DEVIATION})
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT,
        "model_max_length": model.text.max_position_embeddings})
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def read_checkpoint(folder: Path) -> tuple[InternVL, Tokenizer]:
    """The stored weights, widened to float32."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vision, text = (shape(**{field.name: config[part][field.name] for field in fields(shape)})
                    for shape, part in [(VisionShape, "vision_config"), (TextShape, "llm_config")])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = InternVL(vision, text, tokenizer.token_to_id(IMAGE))
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model.eval(), tokenizer
