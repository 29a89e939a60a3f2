"""The plot of partial_tp.py: for each model and workload, how long the best plan of each family takes on each link,
measured by plain sharding, and where the planner's choice lies. Colours suit light and dark pages.
What to run is partial_tp.py."""
import html
import math
import textwrap

FAMILIES = {"full": "every module cut (shard)", "partial": "some modules cut: best of the plans",
            "none": "no matrix cut: best of the plans"}
PANEL_WIDTH, PANEL_HEIGHT = 270, 210
LEFT, TOP, GAP_X, GAP_Y = 92, 130, 26, 84

STYLE = """
  .paper { fill: #ffffff; stroke: #d5dae1 }
  .panel { fill: #f4f6f9 }
  .ink { fill: #1b2430 }
  .soft { fill: #5b6675 }
  .grid { stroke: #d5dae1 }
  .even { stroke: #5b6675; stroke-dasharray: 4 3 }
  .full { fill: #2f7dd1; stroke: #2f7dd1 }
  .partial { fill: #2e9e5b; stroke: #2e9e5b }
  .none { fill: #d9822b; stroke: #d9822b }
  .line { fill: none; stroke-width: 2 }
  .band { stroke: none; opacity: 0.13 }
  .auto { fill: none; stroke: #1b2430; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0f141b; stroke: #2c3541 }
    .panel { fill: #171e27 }
    .ink { fill: #e8edf3 }
    .soft { fill: #9aa7b6 }
    .grid { stroke: #2c3541 }
    .even { stroke: #9aa7b6 }
    .full { fill: #5a9fe6; stroke: #5a9fe6 }
    .partial { fill: #47c07a; stroke: #47c07a }
    .none { fill: #e29a4b; stroke: #e29a4b }
    .band { opacity: 0.2 }
    .auto { stroke: #e8edf3 }
  }
"""


def text(x: float, y: float, words: str, kind: str = "soft", size: int = 12, anchor: str = "middle",
         more: str = "") -> str:
    return (f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{more}>'
            f"{html.escape(words)}</text>")


class Scale:
    """Times over that of plain sharding, as powers of two from bottom to top of a panel."""

    def __init__(self, ratios: list[float]):
        self.low = min(-1, math.floor(math.log2(min(ratios))))
        self.high = max(1, math.ceil(math.log2(max(ratios))))

    def y(self, ratio: float) -> float:
        share = (math.log2(ratio) - self.low) / (self.high - self.low)
        return PANEL_HEIGHT * (0.95 - 0.9 * share)

    def ticks(self) -> list[int]:
        return list(range(self.low, self.high + 1))


def tick_text(power: int) -> str:
    return f"{2 ** power}x" if power >= 0 else f"1/{2 ** -power}x"


def ratios_of(cell) -> dict[str, float]:
    shard = cell.best_of("full").seconds
    ratios = {family: cell.best_of(family).seconds / shard for family in FAMILIES}
    return {**ratios, "auto": cell.auto.seconds / shard}


def panel(cells: list, links: dict[str, str], scale: Scale) -> list[str]:
    """Of one model and workload, its upper left corner at 0, 0."""
    column = PANEL_WIDTH / len(links)
    center = {link: (i + 0.5) * column for i, link in enumerate(links)}
    parts = [f'<rect class="panel" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" rx="6"/>']
    for cell in cells:
        parts.append(f'<rect class="{cell.best.plan.family} band" x="{center[cell.link] - column / 2:.1f}" '
                     f'width="{column:.1f}" height="{PANEL_HEIGHT}"/>')
    for power in scale.ticks():
        y = scale.y(2.0 ** power)
        parts.append(f'<line class="{"even" if power == 0 else "grid"}" x2="{PANEL_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for family in FAMILIES:
        points = [(center[cell.link], scale.y(ratios_of(cell)[family])) for cell in cells]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{family} line" style="fill:none" points="{path}"/>')
        parts += [f'<circle class="{family}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    for cell in cells:
        y = scale.y(ratios_of(cell)["auto"])
        parts.append(f'<circle class="auto" cx="{center[cell.link]:.1f}" cy="{y:.1f}" r="8"/>')
    for link, words in links.items():
        for i, line in enumerate(textwrap.wrap(words, 9)):
            parts.append(text(center[link], PANEL_HEIGHT + 16 + 13 * i, line, size=11))
    return parts


def legend(width: float) -> list[str]:
    parts, x = [], LEFT
    for family, words in FAMILIES.items():
        parts.append(f'<circle class="{family}" cx="{x + 6}" cy="78" r="5"/>')
        parts.append(text(x + 18, 82, words, "ink", anchor="start"))
        x += 28 + 6.6 * len(words)
    parts.append(f'<circle class="auto" cx="{x + 6:.1f}" cy="78" r="7"/>')
    parts.append(text(x + 20, 82, "chosen by the planner", "ink", anchor="start"))
    parts.append(text(width / 2, 32, "How long each kind of plan takes, compared with plain sharding", "ink", 17,
                      more=' font-weight="600"'))
    parts.append(text(width / 2, 52, "lower is better; a column has the colour of the fastest plan"))
    return parts


def draw(cells: list, links: dict[str, str], workloads: dict[str, str]) -> str:
    links = {link: words for link, words in links.items() if any(cell.link == link for cell in cells)}
    shapes = list(dict.fromkeys(cell.shape for cell in cells))
    width = LEFT + len(workloads) * (PANEL_WIDTH + GAP_X) + 4
    height = TOP + len(shapes) * (PANEL_HEIGHT + GAP_Y) - 24
    parts = [f'<rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>', *legend(width)]
    for row, shape in enumerate(shapes):
        mine = [cell for cell in cells if cell.shape == shape]
        scale = Scale([ratio for cell in mine for ratio in ratios_of(cell).values()])
        top = TOP + row * (PANEL_HEIGHT + GAP_Y)
        middle = top + PANEL_HEIGHT / 2
        parts.append(text(26, middle, f"model {shape}", "ink", 14,
                          more=f' font-weight="600" transform="rotate(-90 26 {middle})"'))
        for power in scale.ticks():
            parts.append(text(LEFT - 8, top + scale.y(2.0 ** power) + 4, tick_text(power), size=11, anchor="end"))
        for index, (workload, words) in enumerate(workloads.items()):
            left = LEFT + index * (PANEL_WIDTH + GAP_X)
            inside = panel([cell for cell in mine if cell.workload == workload], links, scale)
            parts.append(text(left + PANEL_WIDTH / 2, top - 10, words, "ink", 13))
            parts.append(f'<g transform="translate({left} {top})">' + "\n".join(inside) + "</g>")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title desc" font-family="system-ui, -apple-system, \'Segoe UI\', \'DejaVu Sans\', '
            "sans-serif\">\n<title id=\"title\">When partial tensor parallelism wins</title>\n"
            '<desc id="desc">Times of the best plan that cuts all, some or none of the modules, over the time of plain '
            "sharding, by link, workload and model. A column has the colour of the winner.</desc>\n"
            f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    print(__doc__)
