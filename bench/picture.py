"""Draws the README's picture from what ``versus.py --json`` wrote.

    python bench/versus.py --json bench/results/versus.json
    python bench/picture.py bench/results/versus.json                 # bench/results/versus.svg
    python bench/picture.py run.json --dtype float64 --out picture.png

A group of bars for each workload, a bar for each peer: microseconds a step, the median over its processes, on
a logarithmic scale. Of several numbers of threads in the file, the largest is drawn, and nothing that was
timed under a load; random shapes and streams are left out. The same file gives the same picture, byte for
byte, with the same version of matplotlib.
"""

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path

import matplotlib
import peers
from load import NONE
from report import number
from samples import typical
from workloads import WORKLOADS

matplotlib.use("Agg")
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "fastbp", "font.size": 9}
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)
from matplotlib.patches import Patch  # noqa: E402

DEFAULT_OUT = Path(__file__).parent / "results" / "versus.svg"
COLOURS = {"fastbp": "#c2410c", "sklearn": "#64748b", "torch": "#94a3b8", "jax": "#cbd5e1"}
INK, FAINT, GRID = "#1e293b", "#64748b", "#e2e8f0"
BAR = 0.82  # of the distance between two bars
GAP = 0.9  # between two groups, in bars


def main() -> int:
    args = parse_arguments()
    figure = draw(args.run, args.fits)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    how = {"metadata": {"Date": None, "Creator": None}} if args.out.suffix == ".svg" else {"dpi": 150}
    figure.savefig(args.out, facecolor="white", **how)
    if args.out.suffix == ".svg":  # matplotlib leaves blanks at the ends of lines
        lines = args.out.read_text(encoding="utf-8").splitlines()
        args.out.write_text("".join(line.rstrip() + "\n" for line in lines), encoding="utf-8")
    print(f"{args.out}: {args.out.stat().st_size / 1024:.0f} KB")
    return 0


def draw(run: dict, fits: list[dict]):
    names = [p for p in peers.PEERS if any(p in fit["seconds"] for fit in fits)]
    steps = [{p: typical(s) / fit["steps"] * 1e6 for p, s in fit["seconds"].items()} for fit in fits]
    every = [value for step in steps for value in step.values()]
    pitch = len(names) + GAP
    height = 0.17 * pitch * len(fits) + 1.15
    figure, axes = plt.subplots(figsize=(8, height))
    figure.subplots_adjust(left=0.175, right=0.985, top=1 - 0.66 / height, bottom=0.49 / height)

    least = min(every) / 2.5
    for group, (fit, step) in enumerate(zip(fits, steps, strict=True)):
        top = group * pitch
        for i, peer in enumerate(names):
            if peer in step:
                ratio = fit["ratio"].get(peer) if "fastbp" in step else None
                bar(axes, top + i, peer, step[peer], ratio, least)
        label(axes, top + (len(names) - 1) / 2, WORKLOADS[fit["workload"]])
    right = least * (max(every) / least) ** 1.21  # room for the last value
    axes.set(xscale="log", xlim=(least, right), ylim=(pitch * len(fits) - GAP - 0.3, -0.7))
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_minor_formatter("")
    axes.tick_params(axis="x", which="both", length=0, labelsize=8, labelcolor=FAINT, pad=3)

    words(figure, 0.012, 1 - 0.20 / height, title(fits[0]), size=11, weight="bold")
    words(figure, 0.012, 0.11 / height, caption(run), color=FAINT, size=7)
    handles = [Patch(color=COLOURS[p], label=peers.title(p)) for p in names]
    figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.003, 1 - 0.47 / height),
        ncols=len(names),
        frameon=False,
        handlelength=1,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.6,
        labelcolor=INK,
    )
    return figure


def bar(axes, y: float, peer: str, value: float, ratio: float | None, left: float) -> None:
    ours = peer == "fastbp"
    axes.barh(y, value - left, BAR, left=left, color=COLOURS[peer])
    text = number(value)
    if ratio and not ours:
        text += f" ({number(ratio, 3 if ratio < 10 else 2)}×)"
    axes.annotate(
        text,
        (value, y),
        (4, -0.3),
        textcoords="offset points",
        va="center_baseline",
        size=8,
        color=COLOURS["fastbp"] if ours else FAINT,
        weight="bold" if ours else "normal",
    )


def label(axes, y: float, workload) -> None:
    """Write a workload's name at its group, and below it what it is."""
    how = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "ha": "right",
        "va": "center",
    }
    axes.annotate(workload.name, (0, y), (-8, 9), color=INK, weight="bold", size=10, **how)
    axes.annotate(layers(workload), (0, y), (-8, -3), color=FAINT, size=7, **how)
    axes.annotate(f"batch {workload.batch}", (0, y), (-8, -12), color=FAINT, size=7, **how)


def layers(workload) -> str:
    """Return the widths of a network: 784-256-128-10, or 32-64×8-5."""
    runs = [(width, len(list(same))) for width, same in groupby(workload.hidden)]
    hidden = [f"{width}×{n}" if n > 2 else "-".join([str(width)] * n) for width, n in runs]
    return "-".join([str(workload.inputs), *hidden, str(workload.outputs)])


def words(figure, x: float, y: float, text: str, color: str = INK, **how) -> None:
    figure.text(x, y, text, va="center", color=color, **how)


def title(fit: dict) -> str:
    threads = fit["threads"]
    return f"Training: µs a step in {fit['dtype']}, {threads} thread{'s' * (threads > 1)} (less is better)"


def caption(run: dict) -> str:
    machine, processes, rounds = run["machine"], run["processes"], run["rounds"]
    made = [f"{peers.title(p)} {v}" for p, v in machine["versions"].items() if v[:1].isdigit()]
    about = [machine["cpu"], f"{machine['cores']} cores", machine["system"], f"Python {machine['python']}"]
    how = f"medians of {processes} process{'es' * (processes > 1)}, {rounds} round{'s' * (rounds > 1)} each"
    return f"{', '.join(about)}; {how}\n{', '.join(made)}; log scale; in brackets: times fastbp's"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", type=Path, metavar="JSON", help="what versus.py --json wrote")
    add("--out", type=Path, default=DEFAULT_OUT, metavar="FILE", help=".svg or .png; results/versus.svg here")
    add("--dtype", choices=["float32", "float64"], default="float32", help="float32 by default")
    args = parser.parse_args()
    if args.out.suffix not in (".svg", ".png"):
        parser.error(f"--out {args.out}: only .svg and .png can be written")
    try:
        args.run = json.loads(args.run.read_text(encoding="utf-8"))
        fits = [r for r in args.run["results"] if r["table"] == "fit" and r["load"] == NONE]
        fits = [r for r in fits if r["dtype"] == args.dtype and args.run["processes"]]
        most = max((r["threads"] for r in fits), default=0)
        known = [r for r in fits if r["threads"] == most and r["workload"] in WORKLOADS]
        args.fits = [r for r in known if r["seconds"]]
    except OSError as error:
        parser.error(f"{error.strerror}: {error.filename}")
    except (ValueError, KeyError, TypeError):
        parser.error("this is no file of versus.py --json")
    if any(":" in peer for fit in args.fits for peer in fit["seconds"]):
        parser.error("this run was made with --n-jobs: fastbp has several columns in it")
    if not args.fits:
        parser.error(f"no workload was fitted in {args.dtype} in this run")
    return args


if __name__ == "__main__":
    sys.exit(main())
