# SPDX-License-Identifier: MIT
"""Plots by gnuplot, each as SVG and as PNG.

`tools/setup bench` installs it.  The data are written into the script, which
stays beside the pictures.
"""
import shutil
import subprocess

TERMINALS = (("svg", "svg size 800,500 font 'sans,13' background 'white'"),
             ("png", "pngcairo size 1200,750 font 'sans,14'"))


def block(name, rows):
    """Rows of numbers as a data block that the script can plot."""
    return "\n".join([f"${name} << EOD", *(" ".join(map(str, row)) for row in rows), "EOD"])


def draw(base, script):
    """BASE.svg, BASE.png and BASE.gp; why not, or None."""
    with open(f"{base}.gp", "w", encoding="utf-8") as f:
        f.write(f"{script}\n")
    if not shutil.which("gnuplot"):
        return "gnuplot is missing: tools/setup bench"
    for suffix, terminal in TERMINALS:
        words = f"set terminal {terminal}; set output '{base}.{suffix}'"
        done = subprocess.run(["gnuplot", "-e", words, f"{base}.gp"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if done.returncode != 0:
            return done.stderr.strip()
    return None


def lines(base, title, x, y, series, *more):
    """series: {name: [(x, median, least, most)]}; x and y name the axes; more are
    gnuplot's words, before what is drawn."""
    blocks = [block(f"s{n}", rows) for n, rows in enumerate(series.values())]
    curves = ", \\\n".join(
        f"$s{n} using 1:2 with lines lc {n + 1} lw 2 notitle, "
        f"$s{n} using 1:2:3:4 with yerrorbars lc {n + 1} pt {n + 4} title '{name}'"
        for n, name in enumerate(series))
    return draw(base, "\n".join([
        *blocks, f"set title '{title}'", f"set xlabel '{x}'", f"set ylabel '{y}'", "set grid",
        "set key top right", *more, f"plot {curves}"]))


def over_rates(base, title, labels, series):
    """series: as of lines(), x is the place of the label."""
    tics = ", ".join(f"'{label}' {n}" for n, label in enumerate(labels))
    return lines(base, title, "each card", "total time, s", series, f"set xtics ({tics})",
                 f"set xrange [-0.3:{len(labels) - 0.7}]", "set logscale y")


def shaded(begin, end):
    """The span from one x to another, over the whole height."""
    return (f"set object 1 rectangle from {begin:.3f}, graph 0 to {end:.3f}, graph 1 "
            "fillcolor rgb '#f4d9c6' fillstyle solid noborder behind")


def over_time(base, title, shares, busy_s):
    """shares: one list of (seconds, share) for each run; the host is busy from 0
    to busy_s."""
    blocks = [block(f"s{n}", rows) for n, rows in enumerate(shares)]
    curves = ", \\\n".join(f"$s{n} using 1:(100 * $2) with linespoints lc {n + 1} pt 7 ps 0.5 "
                           f"title 'run {n + 1}'" for n in range(len(shares)))
    return draw(base, "\n".join([
        *blocks, shaded(0, busy_s), f"set title '{title}'", "set xlabel 's since they spin'",
        "set ylabel 'pages compressed, %'", "set yrange [0:100]", "set grid",
        f"plot {curves}"]))


def timeline(base, title, cards, out):
    """cards: {name: [(seconds, Mbit/s)]}; out: from when until when some were out."""
    blocks = [block(f"s{n}", rows) for n, rows in enumerate(cards.values())]
    curves = ", \\\n".join(f"$s{n} using 1:2 with lines lc {n + 1} lw 2 title '{name}'"
                           for n, name in enumerate(cards))
    return draw(base, "\n".join([
        *blocks, shaded(*out), f"set title '{title}'", "set xlabel 's'",
        "set ylabel 'sent, Mbit/s'", "set yrange [0:*]", "set grid", "set key below",
        f"plot {curves}"]))


def over_load(base, title, rows):
    """rows: (processes, share, seconds)."""
    return draw(base, "\n".join([
        block("rows", rows), f"set title '{title}'", "set xlabel 'processes that spin'",
        "set xtics 1", "set ylabel 'pages compressed, %'", "set yrange [0:100]",
        "set y2label 'total time, s'", "set y2range [0:*]", "set y2tics", "set grid",
        "plot $rows using 1:(100 * $2) with linespoints pt 7 lw 2 title 'compressed', "
        "$rows using 1:3 axes x1y2 with linespoints pt 5 lw 2 title 'time'"]))


def bars(base, title, rows):
    """rows: (name, seconds, milliseconds): two bars for each name."""
    named = [(f'"{name}"', seconds, ms) for name, seconds, ms in rows]
    return draw(base, "\n".join([
        block("rows", named), f"set title '{title}'", "set style data histograms",
        "set style histogram clustered gap 1", "set style fill solid 0.6 border",
        "set ylabel 'total time, s'", "set yrange [0:*]", "set ytics nomirror",
        "set y2label 'worst downtime, ms'", "set y2range [0:*]", "set y2tics", "set grid y",
        "set xtics rotate by -20", "set key top left",
        "plot $rows using 2:xtic(1) title 'total time', "
        "$rows using 3 axes x1y2 title 'worst downtime'"]))
