"""Trains the demo model and writes it as an ordinary Hugging Face checkpoint in bfloat16.

The model is transformers' own Qwen3ForCausalLM, so that the checkpoint is right by construction.
Only the answers are trained on: predicting the random operands of a question teaches nothing.
"""

import argparse
import itertools
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (GenerationConfig, PreTrainedTokenizerFast, Qwen3Config,
                          Qwen3ForCausalLM)

from tasks import Question, held_out_questions, is_right, training_questions

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 491
MAX_NEW_TOKENS = 32
IGNORED = -100  # label of positions without a loss
# The pattern of Qwen2: every digit is a token of its own, words carry the space before them.
WORD_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(seed: int) -> Tokenizer:
    """A byte-level BPE tokenizer, learned from the questions themselves."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[END_OF_TEXT],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    sample = itertools.islice(training_questions(random.Random(seed)), 20_000)
    tokenizer.train_from_iterator((q.prompt + q.answer for q in sample), trainer)
    return tokenizer


def model_config(tokenizer: Tokenizer) -> Qwen3Config:
    """Sizes that do not divide evenly over ranks: 6 query heads, 3 KV heads, an odd vocabulary."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=160, intermediate_size=428,
        num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=3, head_dim=32,
        max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None, eos_token_id=end, pad_token_id=end)


def batches(tokenizer: Tokenizer, seed: int, size: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Endless batches of (prompt, answer) tokens, shortest first so that little is padded."""
    stream, end = training_questions(random.Random(seed)), tokenizer.token_to_id(END_OF_TEXT)
    while True:
        chosen = list(itertools.islice(stream, size))
        prompts = [e.ids for e in tokenizer.encode_batch([q.prompt for q in chosen])]
        answers = [e.ids + [end] for e in tokenizer.encode_batch([q.answer for q in chosen])]
        yield sorted(zip(prompts, answers), key=lambda pair: len(pair[0]) + len(pair[1]))


def padded(pairs: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, labels), padded on the right, where causal attention never looks."""
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs)
    tokens, labels = [], []
    for prompt, answer in pairs:
        padding = longest - len(prompt) - len(answer)
        tokens.append(prompt + answer + [0] * padding)
        labels.append([IGNORED] * len(prompt) + answer + [IGNORED] * padding)
    return torch.tensor(tokens)[:, :-1], torch.tensor(labels)[:, 1:]


def add_gradients(model: Qwen3ForCausalLM, batch: list[tuple[list[int], list[int]]],
                  parts: int = 4) -> float:
    """Adds the gradients of the mean loss over all answer tokens; returns that loss."""
    answer_tokens, total = sum(len(answer) for _, answer in batch), 0.0
    for start in range(0, len(batch), len(batch) // parts):
        tokens, labels = padded(batch[start:start + len(batch) // parts])
        wanted = labels != IGNORED
        hidden = model.model(tokens, use_cache=False).last_hidden_state
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[wanted],
                                                 reduction="sum") / answer_tokens
        loss.backward()
        total += loss.item()
    return total


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 200) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def make_optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    """AdamW with weight decay on the matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05},
                              {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.98))


def train(model: Qwen3ForCausalLM, tokenizer: Tokenizer, options: argparse.Namespace) -> None:
    """Runs all steps and prints a line every few hundred, with the time so far."""
    optimizer, began = make_optimizer(model), time.monotonic()
    stream = batches(tokenizer, options.seed + 1, options.batch)
    recent: list[float] = []
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        optimizer.zero_grad()
        recent.append(add_gradients(model, next(stream)))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % options.report == 0:
            mean, recent = sum(recent) / len(recent), []
            print(f"step {step + 1}  loss {mean:.4f}  {(time.monotonic() - began) / 60:.1f} min  "
                  f"{quick_accuracy(model, tokenizer)}", flush=True)


@torch.no_grad()
def quick_accuracy(model: Qwen3ForCausalLM, tokenizer: Tokenizer, count: int = 450) -> str:
    """Share of validation answers predicted right token by token, by kind.

    Validation questions are held out too, but drawn with another seed than the 500 of the test.
    """
    right: dict[str, list[bool]] = {}
    for question in held_out_questions(seed=1, count=count):
        prompt, answer = (tokenizer.encode(t).ids for t in (question.prompt, question.answer))
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1:]
        expected = torch.tensor(answer + [tokenizer.token_to_id(END_OF_TEXT)])
        right.setdefault(question.kind, []).append(bool((logits.argmax(-1) == expected).all()))
    return "  ".join(f"{kind} {100 * sum(r) / len(r):.0f}" for kind, r in right.items())


def export(model: Qwen3ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the checkpoint, its tokenizer and its generation settings."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end, do_sample=False,
                                               max_new_tokens=MAX_NEW_TOKENS)
    model.to(torch.bfloat16).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT,
                            pad_token=END_OF_TEXT, clean_up_tokenization_spaces=False,
                            model_max_length=256).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--peak", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=200, help="steps between two lines of output")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(options.seed)
    model = Qwen3ForCausalLM(model_config(tokenizer))
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, tokenizer, options)
    export(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
