"""InternVL in plain PyTorch: a vision transformer, its projector and a Qwen2 language model.

Parameters have the names of a checkpoint in InternVL's original layout (`InternVLChatModel`), so
that a state dict is such a checkpoint. tests/golden/README.md states the mathematics. Training
needs no cache of keys and values, and neither do answers of ten tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class VisionShape:
    """The words of `vision_config`."""

    image_size: int = 84
    patch_size: int = 14
    hidden_size: int = 120
    num_attention_heads: int = 5
    intermediate_size: int = 360
    num_hidden_layers: int = 4
    layer_norm_eps: float = 1e-6

    @property
    def patches_across(self) -> int:
        return self.image_size // self.patch_size

    @property
    def features(self) -> int:
        """Of one tile, after two by two patches became one feature."""
        return (self.patches_across // 2) ** 2


@dataclass(frozen=True)
class TextShape:
    """The words of `llm_config`."""

    vocab_size: int
    hidden_size: int = 96
    num_attention_heads: int = 6
    num_key_value_heads: int = 3
    intermediate_size: int = 250
    num_hidden_layers: int = 4
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 256

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def heads_first(x: Tensor, heads: int) -> Tensor:
    """[B, T, heads * D] -> [B, heads, T, D]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """[B, heads, T, D] of each -> [B, T, heads * D], in float32 whatever the arithmetic around it:
    on CPUs the gradient of attention in bfloat16 takes six times as long."""
    with torch.autocast("cpu", enabled=False):
        mixed = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(),
                                                        is_causal=causal)
    return mixed.transpose(1, 2).flatten(2)


class VisionEmbeddings(nn.Module):
    """Pixels [t, 3, S, S] -> class token and patches [t, 1 + P, E]"""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(1, 1, shape.hidden_size) * 0.1)
        self.patch_embedding = nn.Conv2d(3, shape.hidden_size, shape.patch_size, shape.patch_size)
        self.position_embedding = nn.Parameter(
            torch.randn(1, shape.patches_across**2 + 1, shape.hidden_size) * 0.1)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).mT
        class_token = self.class_embedding.expand(len(pixels), -1, -1)
        return torch.cat([class_token, patches], 1) + self.position_embedding


class VisionAttention(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.heads = shape.num_attention_heads
        self.qkv = nn.Linear(shape.hidden_size, 3 * shape.hidden_size)
        self.proj = nn.Linear(shape.hidden_size, shape.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (heads_first(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        return self.proj(attend(q, k, v, causal=False))


class VisionMlp(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.fc2 = nn.Linear(shape.intermediate_size, shape.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class VisionLayer(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.attn, self.mlp = VisionAttention(shape), VisionMlp(shape)
        self.norm1 = nn.LayerNorm(shape.hidden_size, shape.layer_norm_eps)
        self.norm2 = nn.LayerNorm(shape.hidden_size, shape.layer_norm_eps)
        self.ls1 = nn.Parameter(torch.ones(shape.hidden_size))
        self.ls2 = nn.Parameter(torch.ones(shape.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.mlp(self.norm2(x))


class VisionModel(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.embeddings, self.encoder = VisionEmbeddings(shape), nn.Module()
        self.encoder.layers = nn.ModuleList(VisionLayer(shape)
                                            for _ in range(shape.num_hidden_layers))

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.embeddings(pixels)
        for layer in self.encoder.layers:
            x = layer(x)
        return x


def pixel_shuffle(x: Tensor, across: int) -> Tensor:
    """Two by two patches side by side: [t, P, E] -> [t, P / 4, 4 E], (row, column, channel)"""
    x = x.unflatten(1, (across // 2, 2, across // 2, 2))
    return x.transpose(2, 3).flatten(3).flatten(1, 2)


class TextAttention(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.heads, self.kv_heads = shape.num_attention_heads, shape.num_key_value_heads
        kv_width = self.kv_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.k_proj = nn.Linear(shape.hidden_size, kv_width)
        self.v_proj = nn.Linear(shape.hidden_size, kv_width)
        self.o_proj = nn.Linear(shape.hidden_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        q, k = (rotate(heads_first(part, heads), rotary) for part, heads in
                [(self.q_proj(x), self.heads), (self.k_proj(x), self.kv_heads)])
        v = heads_first(self.v_proj(x), self.kv_heads)
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (k, v))
        return self.o_proj(attend(q, k, v, causal=True))


def rotary_table(shape: TextShape) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [longest, D] each; dimension i is paired with i + D / 2."""
    frequencies = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)
    angles = torch.outer(torch.arange(shape.max_position_embeddings), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = (table[:x.shape[-2]] for table in rotary)
    low, high = x.chunk(2, -1)
    return x * cosine + torch.cat([-high, low], -1) * sine


class TextMlp(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class TextLayer(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.self_attn, self.mlp = TextAttention(shape), TextMlp(shape)
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextModel(nn.Module):
    """Embedded tokens [B, T, H] -> hidden states [B, T, H], normalised."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(TextLayer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.rotary = rotary_table(shape)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, self.rotary)
        return self.norm(x)


class InternVL(nn.Module):
    def __init__(self, vision: VisionShape, text: TextShape, image_token: int) -> None:
        super().__init__()
        self.vision, self.text, self.image_token = vision, text, image_token
        self.vision_model = VisionModel(vision)
        self.mlp1 = nn.Sequential(nn.LayerNorm(4 * vision.hidden_size),
                                  nn.Linear(4 * vision.hidden_size, text.hidden_size), nn.GELU(),
                                  nn.Linear(text.hidden_size, text.hidden_size))
        self.language_model = nn.Module()
        self.language_model.model = TextModel(text)
        self.language_model.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)

    def project(self, patches: Tensor) -> Tensor:
        """Of tiles, class token first [t, 1 + P, E] -> in place of placeholders [t, n, H]"""
        return self.mlp1(pixel_shuffle(patches[:, 1:], self.vision.patches_across))

    def hidden(self, tokens: Tensor, features: Tensor | None) -> Tensor:
        """Tokens [B, T] and the features of their placeholders, in order -> [B, T, H]"""
        embedded = self.language_model.model.embed_tokens(tokens)
        if features is not None:
            embedded = embedded.masked_scatter((tokens == self.image_token)[..., None],
                                                features.to(embedded.dtype))
        return self.language_model.model(embedded)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.language_model.lm_head(hidden)
