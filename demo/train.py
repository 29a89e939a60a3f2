"""Trains the demo model and writes it as an ordinary Hugging Face checkpoint in bfloat16.

The model is transformers' own Qwen3ForCausalLM, so that the checkpoint is right by construction.
Only the answers are trained on: predicting the random operands of a question teaches nothing.
Two processes share each batch. With matrices this small, that is faster than two threads in each
operation, and the result does not depend on what else the machine is doing.
"""

import argparse
import itertools
import math
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import distributed, multiprocessing
from transformers import (GenerationConfig, PreTrainedTokenizerFast, Qwen3Config,
                          Qwen3ForCausalLM)

from muon import Muon
from tasks import held_out_questions, training_questions

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 571  # at most; with these questions the merges end at 530
MAX_NEW_TOKENS = 32
IGNORED = -100  # label of positions without a loss
Pair = tuple[list[int], list[int]]  # tokens of a prompt and of its answer
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
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, intermediate_size=310,
        num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=3, head_dim=32,
        max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None, eos_token_id=end, pad_token_id=end)


def batches(tokenizer: Tokenizer, seed: int, size: int) -> Iterator[list[Pair]]:
    """Endless batches of (prompt, answer) tokens, shortest first so that little is padded."""
    stream, end = training_questions(random.Random(seed)), tokenizer.token_to_id(END_OF_TEXT)
    while True:
        chosen = list(itertools.islice(stream, size))
        prompts = [e.ids for e in tokenizer.encode_batch([q.prompt for q in chosen])]
        answers = [e.ids + [end] for e in tokenizer.encode_batch([q.answer for q in chosen])]
        yield sorted(zip(prompts, answers), key=lambda pair: len(pair[0]) + len(pair[1]))


def padded(pairs: list[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, labels), padded on the right, where causal attention never looks."""
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs)
    tokens, labels = [], []
    for prompt, answer in pairs:
        padding = longest - len(prompt) - len(answer)
        tokens.append(prompt + answer + [0] * padding)
        labels.append([IGNORED] * len(prompt) + answer + [IGNORED] * padding)
    return torch.tensor(tokens)[:, :-1], torch.tensor(labels)[:, 1:]


def add_gradients(model: Qwen3ForCausalLM, batch: list[Pair], parts: int = 2) -> float:
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


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def make_optimizers(model: Qwen3ForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    in_layers = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in in_layers}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(in_layers, weight_decay=0.1),
            torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)]


def average_over_workers(parameters: list[torch.nn.Parameter]) -> None:
    """Every worker gets the mean gradient, so that all of them take the same step."""
    flat = torch.cat([p.grad.flatten() for p in parameters])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        parameter.grad.copy_(part.view_as(parameter))


def train(model: Qwen3ForCausalLM, tokenizer: Tokenizer, options: argparse.Namespace) -> None:
    """Runs all steps; worker 0 prints a line every few hundred, with the time so far."""
    rank, began = distributed.get_rank(), time.monotonic()
    parameters, optimizers = list(model.parameters()), make_optimizers(model)
    stream = batches(tokenizer, options.seed + 1 + rank, options.batch // options.workers)
    recent: list[float] = []
    for step in range(options.steps):
        for group in itertools.chain(*(o.param_groups for o in optimizers)):
            group["lr"] = learning_rate(step, options.steps, options.peak)
        model.zero_grad()
        recent.append(add_gradients(model, next(stream)))
        average_over_workers(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if rank == 0 and (step + 1) % options.report == 0:
            mean, recent = sum(recent) / len(recent), []
            print(f"step {step + 1}  loss {mean:.4f}  {(time.monotonic() - began) / 60:.1f} min "
                  f"({time.process_time() / 60:.1f} CPU)  {quick_accuracy(model, tokenizer)}",
                  flush=True)


@torch.no_grad()
def quick_accuracy(model: Qwen3ForCausalLM, tokenizer: Tokenizer, count: int = 180) -> str:
    """Share of validation answers predicted right token by token, by kind.

    Validation questions are held out too, drawn with another seed than the 500 of the test. They
    are printed only: nothing is chosen by them.
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
    settings, known = folder / "tokenizer_config.json", "PreTrainedTokenizerFast"
    # The 4.x series of transformers knows only the older name of the same class.
    settings.write_text(settings.read_text().replace("TokenizersBackend", known))


def work(rank: int, options: argparse.Namespace, meeting_point: str) -> None:
    """One worker: a process with one thread, which trains on its own part of every batch."""
    distributed.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank,
                                   world_size=options.workers)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    tokenizer = train_tokenizer(options.seed)
    model = Qwen3ForCausalLM(model_config(tokenizer))
    train(model, tokenizer, options)
    if rank == 0:
        export(model, tokenizer, options.out)
    distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--peak", type=float, default=5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2, help="processes, each on one core")
    parser.add_argument("--report", type=int, default=100, help="steps between two lines of output")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, (options, f"{folder}/meeting"), nprocs=options.workers)


if __name__ == "__main__":
    main()
