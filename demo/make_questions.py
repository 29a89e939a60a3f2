"""Writes the questions of the demo and what transformers answers to them.

questions.jsonl / answers.jsonl   500 held-out questions, counted by the test
prompts.jsonl / expected.jsonl    8 held-out questions, shown by the demo

The questions depend on seeds alone, never on what the model gets right. The reference reads the
committed bfloat16 weights, computes in float32, and takes one prompt at a time.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, Qwen3ForCausalLM

from tasks import Question, held_out_questions, is_right

TEST_SEED, TEST_COUNT = 2, 500
SHOWN_SEED, SHOWN_COUNT = 3, 8
MAX_NEW_TOKENS = 32


def greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
           prompt: str) -> tuple[list[int], float]:
    """The new tokens, end of text included, and the smallest lead of a best logit over the next."""
    inputs = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS,
                            return_dict_in_generate=True, output_logits=True)
    best, second = torch.cat(output.logits).topk(2).values.unbind(-1)
    return output.sequences[0, inputs.input_ids.shape[1]:].tolist(), float((best - second).min())


def write_lines(path: Path, rows: list[dict]) -> None:
    """One JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def answer_all(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
               questions: list[Question], requests: Path, answers: Path) -> None:
    """Writes both files and prints the share of right answers by kind."""
    asked, answered, margins = [], [], []
    right: dict[str, list[bool]] = defaultdict(list)
    for index, question in enumerate(questions):
        tokens, margin = greedy(model, tokenizer, question.prompt)
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        asked.append({"id": f"q{index}", "prompt": question.prompt,
                      "max_new_tokens": MAX_NEW_TOKENS})
        answered.append({"id": f"q{index}", "answer": question.answer, "kind": question.kind,
                         "transformers_text": text, "transformers_tokens": tokens})
        margins.append(margin)
        right[question.kind].append(is_right(text, question.answer))
        if not right[question.kind][-1]:
            print(f"wrong: {question.prompt!r} -> {text!r}, not {question.answer!r}")
    write_lines(requests, asked)
    write_lines(answers, answered)
    for kind, results in right.items():
        print(f"{kind:18} {sum(results):4} of {len(results)}")
    print(f"{'all':18} {sum(map(sum, right.values())):4} of {len(questions)}")
    print(f"smallest margin {min(margins):.3f}, next {sorted(margins)[1:6]}")


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=here / "model")
    parser.add_argument("--out", type=Path, default=here)
    options = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = Qwen3ForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    for seed, count, requests, answers in [
            (TEST_SEED, TEST_COUNT, "questions.jsonl", "answers.jsonl"),
            (SHOWN_SEED, SHOWN_COUNT, "prompts.jsonl", "expected.jsonl")]:
        answer_all(model, tokenizer, held_out_questions(seed, count), options.out / requests,
                   options.out / answers)


if __name__ == "__main__":
    main()
