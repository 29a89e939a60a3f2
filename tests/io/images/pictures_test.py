#!/usr/bin/env python3
"""Pictures of all formats, sizes and ratios: what tesserank makes of them, and what Pillow does.

  pictures_test.py DUMP_TILES GOLDEN_MODELS

The reference is what transformers' InternVL preprocessing does: exif_transpose, convert("RGB"), the grid
with the nearest aspect ratio, Pillow's bicubic resize, cut, mean and deviation.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
from PIL import Image, ImageOps

DUMP_TILES = sys.argv.pop(1)
GOLDEN_MODELS = pathlib.Path(sys.argv.pop(1))
SIDE, MOST = 56, 12
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
SIZES = [(56, 56), (1, 1), (7, 300), (640, 480), (480, 640), (1000, 333), (57, 55), (1920, 1080), (113, 449), (224, 224)]


def noise(width: int, height: int, channels: int, seed: int) -> np.ndarray:
    """Smooth shapes with some noise on them, so that filters matter."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + 5 * c) + y / (7 + c) + seed) for c in range(channels)]
    values = 127.5 + 100 * np.stack(waves, -1) + rng.normal(0, 25, (height, width, channels))
    return values.clip(0, 255).astype(np.uint8)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def make_pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    paths = []

    def save(name: str, image: Image.Image, **options) -> None:
        image.save(folder / name, **options)
        paths.append(folder / name)

    for seed, (width, height) in enumerate(SIZES):
        rgb = Image.fromarray(noise(width, height, 3, seed))
        save(f"{width}x{height}.png", rgb)
        save(f"{width}x{height}.jpg", rgb, quality=90)
        save(f"{width}x{height}.webp", rgb, quality=80)
    rgb = noise(200, 130, 3, 50)
    for orientation in range(1, 9):
        save(f"turned-{orientation}.jpg", Image.fromarray(rgb), exif=exif_of(orientation), quality=95)
    save("turned-6.png", Image.fromarray(rgb), exif=exif_of(6))
    save("turned-8.webp", Image.fromarray(rgb), exif=exif_of(8).tobytes(), lossless=True)
    for subsampling in range(3):
        save(f"subsampled-{subsampling}.jpg", Image.fromarray(rgb), subsampling=subsampling, quality=85)
    save("progressive.jpg", Image.fromarray(rgb), progressive=True)
    save("grey.jpg", Image.fromarray(rgb[:, :, 0]))
    save("grey.png", Image.fromarray(rgb[:, :, 0]))
    rgba = noise(150, 140, 4, 60)
    save("alpha.png", Image.fromarray(rgba))
    save("alpha.webp", Image.fromarray(rgba), lossless=True, exact=True)
    save("grey-alpha.png", Image.fromarray(rgba[:, :, :2].copy(), "LA"))
    save("palette.png", Image.fromarray(rgb).quantize(64))
    save("palette-transparent.png", Image.fromarray(rgb).quantize(16), transparency=3)
    save("one-bit.png", Image.fromarray(rgb[:, :, 0]).convert("1"))
    save("lossless.webp", Image.fromarray(rgb), lossless=True)
    return paths


def choose_grid(width: int, height: int) -> tuple[int, int]:
    grids = sorted(((i, j) for n in range(1, MOST + 1) for i in range(1, n + 1) for j in range(1, n + 1)
                    if i * j == n), key=lambda grid: grid[0] * grid[1])
    best, nearest = (1, 1), float("inf")
    for grid in grids:
        distance = abs(width / height - grid[0] / grid[1])
        if distance < nearest:
            best, nearest = grid, distance
        elif distance == nearest and width * height > 0.5 * SIDE * SIDE * grid[0] * grid[1]:
            best = grid
    return best


def resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """In the order of the passes that Pillow 13 has, whatever version is here."""
    if image.height - height > max(0, 2 * (image.width - width)):
        image = image.resize((image.width, height), Image.BICUBIC)
    return image.resize((width, height), Image.BICUBIC)


def expected_tiles(image: Image.Image) -> tuple[tuple[int, int], np.ndarray]:
    image = ImageOps.exif_transpose(image).convert("RGB")
    columns, rows = choose_grid(*image.size)
    whole = resize(image, columns * SIDE, rows * SIDE)
    tiles = [whole.crop((c * SIDE, r * SIDE, (c + 1) * SIDE, (r + 1) * SIDE)) for r in range(rows)
             for c in range(columns)]
    if len(tiles) > 1:
        tiles.append(resize(image, SIDE, SIDE))
    return (columns, rows), np.stack([np.asarray(tile) for tile in tiles])


def dump(path: pathlib.Path, side: int = SIDE, most: int = MOST) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    output = subprocess.run([DUMP_TILES, path, str(side), str(most)], stdout=subprocess.PIPE, check=True).stdout
    line, content = output.split(b"\n", 1)
    columns, rows, count, side = map(int, line.split())
    size = count * side * side * 3
    tiles = np.frombuffer(content[:size], np.uint8).reshape(count, side, side, 3)
    values = np.frombuffer(content[size:], np.float32).reshape(count, 3, side, side)
    return (columns, rows), tiles, values


class Pictures(unittest.TestCase):
    def test_they_are_what_pillow_makes_of_them(self):
        with tempfile.TemporaryDirectory() as name:
            paths = make_pictures(pathlib.Path(name))
            self.assertGreaterEqual(len(paths), 40)
            for path in paths:
                with self.subTest(path.name):
                    grid, tiles, values = dump(path)
                    expected_grid, expected = expected_tiles(Image.open(path))
                    self.assertEqual(grid, expected_grid)
                    self.assertEqual(tiles.shape, expected.shape)
                    difference = np.abs(tiles.astype(int) - expected.astype(int))
                    self.assertLessEqual(difference.max(), 1)
                    self.assertLessEqual(difference.mean() / 255, 1e-3)
                    normal = (tiles.astype(np.float32) / 255 - MEAN) / DEVIATION
                    np.testing.assert_allclose(values, normal.transpose(0, 3, 1, 2), atol=1e-6)

    def test_golden_pictures_have_the_same_tiles_and_pixel_values(self):
        cases = sorted(GOLDEN_MODELS.glob("internvl-*"))
        self.assertEqual(len(cases), 4)
        for case in cases:
            facts = json.loads((case / "expected" / "case.json").read_text())["vision"]
            most = facts["max"] if facts["dynamic"] else 1
            with h5py.File(case / "expected" / "expected.h5") as expected:
                for image in range(4):
                    with self.subTest(f"{case.name}: {image}"):
                        want = expected[f"vision/image{image}"]
                        grid, tiles, values = dump(case / "images" / f"image{image}.png", facts["size"], most)
                        self.assertEqual(grid, tuple(want["grid"]))
                        # Whether there is a thumbnail is not this program's to know.
                        count = len(want["tiles"])
                        np.testing.assert_array_equal(tiles[:count], want["tiles"])
                        np.testing.assert_allclose(values[:count], want["pixel_values"], atol=1e-6)

    def test_of_sixteen_bits_the_upper_eight_count(self):
        values = np.random.default_rng(1).integers(0, 65536, (90, 120), np.uint16)
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "deep.png"
            Image.fromarray(values).save(path)
            _, tiles, _ = dump(path)
            _, expected = expected_tiles(Image.fromarray((values >> 8).astype(np.uint8)))
        self.assertLessEqual(np.abs(tiles.astype(int) - expected.astype(int)).max(), 1)


if __name__ == "__main__":
    unittest.main()
