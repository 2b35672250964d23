"""The page around a report: style sheet, frame, and what makes a text safe to show in it."""

from __future__ import annotations

import html

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1f2933; --soft: #5b6875; --line: #dde2e8;
  --accent: #0072b2; --accent-soft: #e5f1f8; --warm: #d55e00; --warm-soft: #fdf0e7;
  --good: #00795a; --good-soft: #e4f5ef; --bar: #b8c4ce; --sample: #f3f5f7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --card: #1c2229; --ink: #e4e9ee; --soft: #9aa7b4; --line: #313a44;
    --accent: #5db7e8; --accent-soft: #15303f; --warm: #f39a5b; --warm-soft: #3a2618;
    --good: #4cc9a0; --good-soft: #15332a; --bar: #4b5763; --sample: #151a20;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.65;
  font: 17px/1.65 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", sans-serif;
}
header { background: linear-gradient(135deg, #08306b, #0072b2 70%, #009e73); color: #fff; }
header > div, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 28px; }
header > div { padding-top: 56px; padding-bottom: 48px; }
h1 { font-size: clamp(30px, 5vw, 46px); line-height: 1.15; letter-spacing: -.02em; margin: 0; }
header p { font-size: 19px; max-width: 62ch; margin: 14px 0 0; color: #e3eef6; }
nav { margin-top: 30px; }
nav ol { list-style: none; display: flex; flex-wrap: wrap; gap: 8px 10px; margin: 0; padding: 0; }
nav a {
  display: block; padding: 6px 15px; border-radius: 99px; color: #fff; text-decoration: none;
  background: rgb(255 255 255 / .14); font-size: 15px;
}
nav a:hover, nav a:focus-visible { background: rgb(255 255 255 / .3); }
nav b { opacity: .65; margin-right: 6px; font-weight: 600; }
section { padding: 52px 0 8px; }
h2 { font-size: 29px; letter-spacing: -.01em; line-height: 1.25; margin: 0 0 4px; }
h2 span { color: var(--accent); font-variant-numeric: tabular-nums; margin-right: 12px; }
p { max-width: 72ch; margin: 12px 0; }
.lead { color: var(--soft); font-size: 19px; margin: 0 0 18px; }
code, pre, .sample { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas,
  "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace; }
code { font-size: .88em; background: var(--accent-soft); border-radius: 5px; padding: .12em .38em;
  overflow-wrap: anywhere; }
figure { margin: 26px 0; }
.picture { background: #fff; border-radius: 14px; padding: 20px; overflow-x: auto;
  border: 1px solid var(--line); }
.picture img { display: block; margin: 0 auto; height: auto; max-width: 100%;
  min-width: min(var(--width), 600px); }
figcaption, caption { color: var(--soft); font-size: 15px; text-align: left; max-width: 80ch; }
figcaption { margin: 10px 4px 0; }
caption { caption-side: bottom; padding: 10px 4px 0; }
.scroll { overflow-x: auto; margin: 24px 0; }
table { border-collapse: collapse; width: 100%; font-size: 15.5px; }
th, td { padding: 9px 16px 9px 4px; border-bottom: 1px solid var(--line); text-align: left; }
th { color: var(--soft); font-weight: 600; border-bottom-width: 2px; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; padding-right: 4px; padding-left: 18px; }
tr:last-child td { border-bottom: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 8px 22px 12px; }
.stats { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px;
  margin: 24px 0; padding: 0; }
.stats div { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px 20px; display: flex; flex-direction: column-reverse; }
.stats dd { margin: 0; font-size: 29px; font-weight: 700; letter-spacing: -.02em;
  line-height: 1.2; font-variant-numeric: tabular-nums; }
.stats dt { color: var(--soft); font-size: 14.5px; line-height: 1.4; margin-top: 3px; }
.callout { border-left: 4px solid var(--accent); background: var(--accent-soft);
  border-radius: 0 12px 12px 0; padding: 14px 22px; margin: 24px 0; max-width: 80ch; }
.callout p { margin: 4px 0; }
.callout.result { border-color: var(--good); background: var(--good-soft); }
.callout.warning { border-color: var(--warm); background: var(--warm-soft); }
.samples { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr));
  gap: 18px; margin: 24px 0; }
.samples figure { margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; overflow: hidden; display: flex; flex-direction: column; }
.samples figcaption { margin: 0; padding: 11px 20px; border-bottom: 1px solid var(--line);
  font-weight: 600; max-width: none; }
.sample { margin: 0; padding: 16px 20px; background: var(--sample); flex: 1; font-size: 14px;
  line-height: 1.6; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 480px;
  overflow-y: auto; }
.sample b { color: var(--accent); }
pre.command { background: #101820; color: #e4edf4; border-radius: 12px; padding: 16px 20px;
  overflow-x: auto; font-size: 15px; border: 1px solid var(--line); }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: 12px 16px; padding: 18px 0 8px;
  align-items: center; }
.bars span { font-size: 15.5px; text-align: right; }
.bars div { display: flex; align-items: center; gap: 10px; }
.bars i { height: 25px; border-radius: 0 6px 6px 0; background: var(--bar); min-width: 2px;
  flex: 0 1 auto; }
.bars em { font-style: normal; font-variant-numeric: tabular-nums; font-size: 15.5px; }
.bars .best { font-weight: 700; }
.bars .best i { background: var(--accent); }
footer { color: var(--soft); font-size: 14.5px; margin-top: 64px; padding-bottom: 48px; }
footer p { border-top: 1px solid var(--line); padding-top: 18px; max-width: none; }
@media (max-width: 560px) {
  body { font-size: 16px; }
  header > div, main, footer { padding-left: 18px; padding-right: 18px; }
  .bars { grid-template-columns: 1fr; gap: 2px; }
  .bars span { text-align: left; margin-top: 9px; }
  .picture { padding: 8px; }
}
@media print {
  .sample { max-height: none; }
  figure, .callout, .card, .samples figure { break-inside: avoid; }
}
"""

# The empty icon keeps a browser from asking a server for one.
FRAME = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header><div>
<h1>{title}</h1>
{subtitle}
{navigation}
</div></header>
<main>
{body}
</main>
<footer><p>{footer}</p></footer>
</body>
</html>
"""

# HTML has no way to write most controls, nor halves of surrogate pairs.
_VISIBLE = dict.fromkeys(
    (
        *(code for code in range(32) if chr(code) not in "\n\t"),
        *range(0x7F, 0xA0),
        *range(0xD800, 0xE000),
        # Overrides of the writing direction could turn the rest of the page around.
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ),
    "\N{REPLACEMENT CHARACTER}",
)


def escaped(value: object) -> str:
    r"""Return text that is safe in HTML, with a visible sign for each control character.

    Example:
        >>> escaped("<b>\x00&")
        '&lt;b&gt;�&amp;'
    """
    return html.escape(str(value).translate(_VISIBLE))
