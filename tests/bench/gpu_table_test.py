#!/usr/bin/env python3
"""The arithmetic of gpu_table.py, on results that are made up."""
import json
import pathlib
import tempfile
import unittest

import gpu_table


class Counts(unittest.TestCase):
    def test_weights_of_known_models(self):
        # Parameters as the models' cards say: 8.03 and 1.24 billion; of the untied model the embedding is not read.
        for name, billions, tables in (("llama-3.1-8b", 8.03, 2), ("llama-3.2-1b", 1.24, 1)):
            config = gpu_table.MODELS[name]
            table = config["vocab_size"] * config["hidden_size"]
            read = gpu_table.decode_bytes(config, 1, 0) / 2
            self.assertAlmostEqual((read + (tables - 1) * table) / 1e9, billions, delta=0.01)

    def test_a_context_adds_its_keys_and_values(self):
        config = gpu_table.MODELS["llama-3.1-8b"]
        added = gpu_table.decode_bytes(config, 8, 2048) - gpu_table.decode_bytes(config, 8, 0)
        self.assertEqual(added, 8 * 2048 * 32 * 2 * 8 * 128 * 2)

    def test_prefill_is_twice_the_parameters_for_each_token_and_more(self):
        config = gpu_table.MODELS["llama-3.1-8b"]
        operations = gpu_table.prefill_operations(config, 8, 2048)
        products = 2 * 8 * 2048 * 6.98e9
        self.assertGreater(operations, products)
        self.assertLess(operations, 1.1 * products)

    def test_a_vision_layer_is_twice_its_parameters_for_each_patch_and_more(self):
        # InternViT-6B: 5.5 billion parameters in 45 layers, at 1025 rows of a tile.
        config = gpu_table.vision_config()
        operations = gpu_table.encoding_operations(config, 16)
        products = 2 * 16 * 1025 * gpu_table.VISION_LAYERS * 5.53e9 / 45
        self.assertGreater(operations, products)
        self.assertLess(operations, 1.1 * products)

    def test_what_stands_around_the_layers_counts_once_for_each_tile(self):
        config = gpu_table.vision_config()
        bare = {**config, "vision_config": {**config["vision_config"], "num_hidden_layers": 0}}
        # Patches of 14 x 14 x 3 to 3200 columns; four of them each to 896 columns, and these to 896.
        around = 2 * 1024 * 588 * 3200 + 2 * 256 * (12800 * 896 + 896 * 896)
        self.assertEqual(gpu_table.encoding_operations(bare, 3), 3 * around)


class Checkpoint(unittest.TestCase):
    def test_it_is_as_long_as_its_header_says(self):
        config = {**gpu_table.MODELS["llama-3.2-1b"], "hidden_size": 64, "intermediate_size": 96, "vocab_size": 50,
                  "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
        with tempfile.TemporaryDirectory() as folder:
            gpu_table.write_checkpoint(config, pathlib.Path(folder) / "tiny")
            data = (pathlib.Path(folder) / "tiny" / "model.safetensors").read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        self.assertEqual(len(data), 8 + length + max(entry["data_offsets"][1] for entry in header.values()))
        layer = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items()
                    if name.startswith("model.layers.0.") and "norm" not in name)
        self.assertEqual(layer, 2 * gpu_table.layer_weights(config))


class Report(unittest.TestCase):
    def test_a_step_at_the_ceiling_is_all_of_it(self):
        work = gpu_table.WORK[0]
        config = gpu_table.MODELS[work.run.model]
        seconds = gpu_table.decode_bytes(config, work.batch, work.run.prompt + work.run.new / 2) / 4e12
        bench = {"plans": [{"batches": [{"batch": 77}, {"batch": work.batch, "decode_seconds_per_step": seconds}]}]}
        self.assertAlmostEqual(gpu_table.share_of_ceiling(work, bench, 4e12, 1e15), 1.0)
        # Where arithmetic binds, it counts.
        self.assertGreater(gpu_table.share_of_ceiling(work, bench, 4e12, 1e12), 1.0)

    def test_what_is_not_there_is_not_run(self):
        with tempfile.TemporaryDirectory() as folder:
            results = pathlib.Path(folder)
            self.assertEqual(gpu_table.report(results).count("not run"), len(gpu_table.report(results).splitlines()) - 2)
            lines = [{"device": "x"}, {"work": "copy", "gigabytes_per_second": 4000.0},
                     {"work": "product", "gigaflops": 7e5}, {"work": gpu_table.KERNELS[0][0], "of_ceiling": 0.871}]
            (results / "kernels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            work = gpu_table.WORK[-1]
            seconds = gpu_table.prefill_operations(
                gpu_table.MODELS[work.run.model], work.batch, work.run.prompt) / 7e14 / 0.5
            batches = [{"batch": batch, "prefill": {"median": seconds}, "decode_seconds_per_step": 1.0}
                       for batch in work.run.batches]
            bench = {"plans": [{"batches": batches}]}
            (results / work.run.file).write_text(json.dumps(bench))
            text = gpu_table.report(results)
            self.assertIn("| 87 % |", text)
            self.assertIn(f"| {work.name} | 75 % | 50 % |", text)

    def test_the_vision_encoder_and_the_host_have_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            results = pathlib.Path(folder)
            (results / "kernels.jsonl").write_text(
                '{"work": "copy", "gigabytes_per_second": 4000.0}\n{"work": "product", "gigaflops": 7e5}\n')
            seconds = gpu_table.encoding_operations(gpu_table.vision_config(), 16) / 7e14 / 0.7
            (results / "vision-6b.json").write_text(json.dumps(
                {"plans": [{"encodings": [{"tiles": 16, "encode": {"median": seconds}}]}]}))
            (results / gpu_table.COMPARED.file).write_text(json.dumps({"plans": [{"batches": [
                {"batch": 1, "decode_seconds_per_step": 1.0, "host_seconds_per_step": 13.44e-6}]}]}))
            (results / "transformers.jsonl").write_text(
                '{"mode": "eager", "batch": 1, "seconds_per_step": 2.5}\n{"mode": "compiled", "ba')
            text = gpu_table.report(results)
            self.assertIn("| InternViT-6B, 4 layers, 16 tiles | 65 % | 70 % |", text)
            self.assertIn("| host time per decode step, 8B, batch 1 | < 20 us | 13.4 us |", text)
            self.assertIn("| 8B, batch 1, against transformers, eager | faster | 2.50 times as fast |", text)
            self.assertIn("| 8B, batch 1, against transformers, compiled | faster | not run |", text)


if __name__ == "__main__":
    unittest.main()
