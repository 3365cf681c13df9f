#!/usr/bin/python3
"""The command line as people meet it: the table of commands, --help, misuse,
and a man page that says the same."""
import os
import re
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(TOP, "build/release/swarmwitness")
MAN = os.path.join(TOP, "docs/swarmwitness.1")
bad = 0


def ok(what, holds, more=""):
    global bad
    bad += not holds
    print(("ok - " if holds else "not ok - ") + what + ("" if holds else f": {more}"))


def run(*args):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=30)


def commands():
    lines = re.findall(r"^  swarmwitness ([a-z]+) +(.*)\n      ", run("--help").stdout, re.M)
    return {name: " ".join(operands.split()) for name, operands in lines}


def man_text():
    p = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=1000", MAN],
                       capture_output=True, text=True, timeout=30)
    return re.sub(r".\x08", "", p.stdout)


def main():
    table, man = commands(), man_text()
    ok("--help lists the commands", {"monitor", "report", "verify", "torrent"} <= set(table), table)
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN],
                          capture_output=True, text=True, timeout=30)
    ok("mandoc finds nothing wrong with the man page", lint.stdout == "", lint.stdout)
    body = man.split("SYNOPSIS")[1].split("DESCRIPTION")[0]
    # mandoc keeps an option and its argument together with a no-break space
    synopsis = [" ".join(x.split()) for x in re.split(r"\bswarmwitness\b", body)[1:]]
    ok("the man page's synopsis is the program's table",
       synopsis == [f"{n} {o}" for n, o in table.items()], (synopsis, table))
    described = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", man))
    helped = set()
    for name in table:
        p = run(name, "--help")
        ok(f"{name} --help: on standard output, exit 0", p.returncode == 0 and p.stdout and not p.stderr, p)
        helped |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", p.stdout)) - {"--help"}
        p = run(name, "--no-such-option")
        ok(f"{name} with an unknown option: exit 2, said on standard error",
           p.returncode == 2 and p.stderr and not p.stdout, p)
        p = run(name)
        ok(f"{name} without operands: exit 2", p.returncode == 2 and p.stderr and not p.stdout, p)
    ok("every option is in the man page, and none more", helped == described - {"--help"},
       helped ^ described)
    ranges = re.findall(r"(--[a-z-]+) +\S+ +.*?\b(\d+) to (\d+)\b", run("monitor", "--help").stdout)
    ok("monitor --help tells the ranges of numbers", "--outstanding" in [r[0] for r in ranges], ranges)
    for option, low, high in ranges:
        for value in int(low) - 1, int(high) + 1:
            p = run("monitor", option, str(value), "case", "x.torrent")
            ok(f"monitor {option} {value}: refused, with the range that --help tells",
               p.returncode == 2 and option in p.stderr and re.search(rf"\b{low} to {high}\b", p.stderr), p)
    ok("no command: exit 2", run().returncode == 2)
    ok("an unknown command: exit 2", run("conclude").returncode == 2)
    ok("--version says a version", re.match(r"swarmwitness \d+\.\d+ \(\S+\)\n$", run("--version").stdout))
    with tempfile.TemporaryDirectory() as empty:
        p = run("verify", empty)
        ok("verify of what is no case: one line, exit 1",
           p.returncode == 1 and p.stderr.count("\n") == 1 and empty in p.stderr, p)
        p = run("report", empty, "-o", os.path.join(empty, "out"))
        ok("report of what is no case: one line, exit 1",
           p.returncode == 1 and p.stderr.count("\n") == 1 and empty in p.stderr, p)
        p = run("monitor", os.path.join(empty, "case"), "/nonexistent.torrent")
        ok("monitor of no torrent: one line that names it, exit 1, no case made",
           p.returncode == 1 and "/nonexistent.torrent" in p.stderr
           and not os.path.exists(os.path.join(empty, "case")), p)
    return 1 if bad else 0


raise SystemExit(main())
