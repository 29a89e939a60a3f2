"""Draws a sum as a picture, and cuts pictures into tiles as InternVL does.

Font, size, place, colours and a slight turn are drawn by chance. A picture whose shape is near
a square is one tile; a wide one is two to four, and the whole of it once more.
"""

import functools
import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

SIDE = 84  # pixels of a tile
MOST_TILES = 4  # without the thumbnail
CHARACTERS = "0123456789+-"
MINUS_SIGN = "\u2212"  # hyphens of some fonts are hardly seen

# Debian's fonts-dejavu-core, fonts-dejavu-extra, fonts-liberation and fonts-freefont-ttf.
FONT_FOLDER = Path("/usr/share/fonts/truetype")
FONTS = [
    "dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans-Bold.ttf", "dejavu/DejaVuSansMono.ttf",
    "dejavu/DejaVuSerif.ttf", "dejavu/DejaVuSans-Oblique.ttf",
    "liberation/LiberationSans-Regular.ttf", "liberation/LiberationSerif-Bold.ttf",
    "liberation/LiberationMono-Regular.ttf", "liberation/LiberationSansNarrow-Bold.ttf",
    "freefont/FreeSans.ttf", "freefont/FreeSerif.ttf", "freefont/FreeMonoBold.ttf",
]

# (columns of tiles, width by height from, to, how often)
SHAPES = [(1, 0.9, 1.45, 80), (2, 1.6, 2.4, 11), (3, 2.6, 3.4, 6), (4, 3.6, 4.5, 3)]

BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue


@functools.lru_cache(maxsize=None)
def font_of(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT_FOLDER / name, size, layout_engine=ImageFont.Layout.BASIC)


def random_size(rng: random.Random) -> tuple[int, int]:
    """Width and height, small enough that no square is cut into four."""
    (columns, least, most, _), = rng.choices(SHAPES, [shape[-1] for shape in SHAPES])
    area = columns * SIDE * SIDE * rng.uniform(0.9, 1.9)
    ratio = rng.uniform(least, most)
    return round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)


def random_colours(rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Ink, and paper that is brighter by enough to tell them apart. [3] each"""
    while True:
        ink, paper = (np.array([rng.randint(0, 255) for _ in range(3)], np.float32)
                      for _ in range(2))
        if BRIGHTNESS @ (paper - ink) > 110:
            return ink, paper


@dataclass
class Drawing:
    """A picture, and for each of its pixels which character stands there."""

    image: Image.Image
    labels: Image.Image  # 0 for none, else 1 + index in CHARACTERS


def turned_text(text: str, size: tuple[int, int],
                rng: random.Random) -> tuple[Image.Image, Image.Image]:
    """White text on black, as large as its place allows or somewhat smaller, and its labels."""
    name, (width, height) = rng.choice(FONTS), size
    shown = text.replace("-", MINUS_SIGN)
    probe = font_of(name, 100).getbbox(shown)
    largest = min(0.92 * width / (probe[2] - probe[0]), 0.6 * height / (probe[3] - probe[1]))
    font = font_of(name, round(100 * largest * rng.uniform(0.85, 1)))
    left, top, right, bottom = font.getbbox(shown)
    x = rng.uniform(0.04 * width, 0.96 * width - (right - left)) - left
    y = rng.uniform(0.15 * height, 0.85 * height - (bottom - top)) - top
    mask, labels = Image.new("L", size), Image.new("L", size)
    ImageDraw.Draw(mask).text((x, y), shown, fill=255, font=font)
    ends = [x + font.getlength(shown[:count]) for count in range(len(shown) + 1)]
    for character, begin, end in zip(text, ends, ends[1:]):
        box = (begin, y + top, end, y + bottom)
        ImageDraw.Draw(labels).rectangle(box, fill=1 + CHARACTERS.find(character))
    centre = (x + (left + right) / 2, y + (top + bottom) / 2)
    most = 6 * height / width  # degrees, so that a long line does not leave the picture
    angle = rng.uniform(-most, most)
    return (mask.rotate(angle, Image.BILINEAR, center=centre),
            labels.rotate(angle, Image.NEAREST, center=centre))


def draw(text: str, rng: random.Random, grain: bool) -> Drawing:
    """A picture of `text`; `grain` adds noise, which would make a PNG file large."""
    size = random_size(rng)
    mask, labels = turned_text(text, size, rng)
    ink, paper = random_colours(rng)
    values = paper + (ink - paper) * (np.asarray(mask, np.float32)[..., None] / 255)
    if grain:
        source = np.random.default_rng(rng.getrandbits(32))
        values += rng.uniform(0, 10) * source.standard_normal((*values.shape[:2], 1), np.float32)
    return Drawing(Image.fromarray(values.clip(0, 255).astype(np.uint8)), labels)


def random_drawing(text: str, rng: random.Random) -> Drawing:
    """As the test's pictures are: one in three is clean, the others have been through a JPEG."""
    if rng.random() < 1 / 3:
        return draw(text, rng, grain=False)
    drawing = draw(text, rng, grain=True)
    drawing.image = Image.open(io.BytesIO(encoded(drawing.image, "jpg", rng)))
    return drawing


def encoded(image: Image.Image, kind: str, rng: random.Random) -> bytes:
    """The file's content. kind: png, jpg or webp"""
    options = {"png": {"optimize": True}, "jpg": {"quality": rng.randint(70, 95)},
               "webp": {"quality": rng.randint(70, 95)}}[kind]
    content = io.BytesIO()
    image.save(content, {"jpg": "jpeg"}.get(kind, kind), **options)
    return content.getvalue()


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles, nearest to the picture's shape: see tests/golden/README.md."""
    grids = sorted(((columns, rows) for columns in range(1, MOST_TILES + 1)
                    for rows in range(1, MOST_TILES + 1) if columns * rows <= MOST_TILES),
                   key=lambda grid: grid[0] * grid[1])
    best, nearest = (1, 1), float("inf")
    for columns, rows in grids:
        distance = abs(width / height - columns / rows)
        large = width * height > 0.5 * SIDE * SIDE * columns * rows
        if distance < nearest or (distance == nearest and large):
            best, nearest = (columns, rows), distance
    return best


def cut(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    """Resized to its grid and cut, row by row; of several tiles, the whole is the last. [t, ...]"""
    (columns, rows), (width, height) = grid_of(*image.size), size
    whole = np.asarray(image.resize((columns * width, rows * height), method))
    tiles = [whole[row * height:(row + 1) * height, column * width:(column + 1) * width]
             for row in range(rows) for column in range(columns)]
    if len(tiles) > 1:
        tiles.append(np.asarray(image.resize(size, method)))
    return np.stack(tiles)


def tiles_of(image: Image.Image) -> np.ndarray:
    """What the model sees, in 8 bits. [t, S, S, 3]"""
    return cut(ImageOps.exif_transpose(image).convert("RGB"), (SIDE, SIDE), Image.BICUBIC)


def labels_of(drawing: Drawing, patches_across: int) -> np.ndarray:
    """The characters in the left and right half of each patch: [t, patches, 2]"""
    halves = cut(drawing.labels, (2 * patches_across, patches_across), Image.NEAREST)
    return halves.reshape(len(halves), -1, 2)
