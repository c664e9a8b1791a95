"""Draws ratios per model as an SVG: a group of bars per model, a bar per engine, on a logarithmic axis."""
import math
from xml.sax.saxutils import escape

COLOURS = {
    "ours-f16": "#0b6e4f", "ours-f32": "#6bbf9a", "ncnn-f16": "#b5541c", "ncnn-f32": "#e9a178",
    "litert-f16": "#2f5d9b", "litert-f32": "#92b4de",
}
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
LEFT, BAR, GAP, HEIGHT, WIDTH, TOP = 210, 13, 14, 30, 820, 70


def ratios(results):
    """Multiples of XNNPACK's time by model and engine, without what was not measured."""
    found = {}
    for model, engines in results.items():
        base = engines.get("xnnpack", {}).get("ms")
        rows = {engine: row["ms"] / base for engine, row in engines.items()
                if base and engine != "xnnpack" and "error" not in row and row.get("ms")}
        if rows:
            found[model] = rows
    return found


def svg(results, title):
    """The picture's text. Without a single figure there is nothing to draw, which is an error."""
    found = ratios(results)
    if not found:
        raise ValueError("there are no ratios to draw")
    most = max(value for rows in found.values() for value in rows.values())
    ticks = [tick for tick in TICKS if tick <= most * 1.5]
    end = math.log10(max(most * 1.15, 2.0))

    def x(value):
        return LEFT + (WIDTH - LEFT - 60) * math.log10(max(value, 1.0)) / end

    engines = [engine for engine in COLOURS if any(engine in rows for rows in found.values())]
    height = TOP + sum(len(rows) * BAR + GAP for rows in found.values()) + HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           f'<text x="10" y="20" font-size="14">Times as multiples of XNNPACK\'s on one thread, {escape(title)}; '
           'shorter is faster</text>']
    for i, engine in enumerate(engines):
        at = 10 + 110 * i
        out.append(f'<rect x="{at}" y="32" width="12" height="12" fill="{COLOURS[engine]}"/>')
        out.append(f'<text x="{at + 16}" y="42">{engine}</text>')
    for tick in ticks:
        out.append(f'<line x1="{x(tick):.1f}" y1="{TOP - 12}" x2="{x(tick):.1f}" y2="{height - HEIGHT}" stroke="#dddddd"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{height - HEIGHT + 16}" text-anchor="middle">{tick} ×</text>')
    y = TOP
    for model, rows in found.items():
        middle = y + len(rows) * BAR / 2 + 4
        out.append(f'<text x="{LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(model)}</text>')
        for engine in (engine for engine in COLOURS if engine in rows):
            value = rows[engine]
            out.append(f'<rect x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR - 2}" '
                       f'fill="{COLOURS[engine]}"/>')
            out.append(f'<text x="{x(value) + 4:.1f}" y="{y + BAR - 3}">{value:.1f}</text>')
            y += BAR
        y += GAP
    return "\n".join([*out, "</svg>"]) + "\n"
