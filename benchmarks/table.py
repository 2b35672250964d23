"""Lines of text for people; bench.json has the same rows for programs."""

from benchmarks.measuring import Row

COLUMNS = "{:<14} {:<44} {:>9}  {:<28} {:>9}  {:>7}  {:<18} {:<9} {:<7} {}"
TITLES = "theme", "case", "ours", "compared with", "theirs", "×", "least to greatest", "aim"
HEADER = COLUMNS.format(*TITLES, "reached", "").rstrip()


def format_row(row: Row) -> str:
    """Write one comparison: medians, the median ratio, its spread over the rounds, the aim."""
    sign, number = ("≥", "{:.2f}") if row.kind == "ratio" else ("≤", "{:+.2f} s")
    reached = {None: "", True: "yes", False: "NO"}[row.reached]
    return COLUMNS.format(
        row.theme,
        row.case,
        _amount(row.ours, row.unit),
        row.peer,
        _amount(row.theirs, row.unit),
        number.format(row.value),
        " to ".join(number.format(value) for value in (min(row.values), max(row.values))),
        "" if row.aim is None else f"{sign} {row.aim:.2f}",
        reached,
        row.note,
    ).rstrip()


def _amount(value: float, unit: str) -> str:
    """Give three digits to small numbers and none behind the point to large ones."""
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
