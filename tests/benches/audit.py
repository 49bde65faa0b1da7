#!/usr/bin/env python3
"""The audit beside DuckDB: the same rules over the same files, side by side, results compared.

Both get the same threads and the same memory limit. Each run is a process of its own; its time is that of the
whole process, reading included, its memory the highest that the system saw. DuckDB is asked the rules' own SQL
over views that bring amounts to yuan as the schemas declare them, once from the files and once with the
columns that the rules use loaded into its tables first. Run by `make bench-audit`; see `--help`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = """settled-equals-paid-minus-refunded paid-order-is-settled refunded-not-above-paid order-paid-once
refund-is-settled-back settlement-settled-once settlement-has-payment settlement-reaches-final-state
refund-reaches-final-state payment-reaches-final-state voucher-and-cash-are-not-accounted
settlement-entries-balance settlement-entries-add-up settlement-is-accounted accounting-adds-up-to-payment
entry-booked-once entry-account-is-right entry-direction-is-right refund-belongs-to-paid-payment
payment-amount-is-positive""".split()
# Fen in the files; 15 digits are enough here, and let DuckDB add in 64 bits.
IN_FEN = {"settlement": "amount", "accounting_entry": "amount"}
TABLES = ["payment", "refund", "settlement", "accounting_entry"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--faults-per-ten-thousand", type=int, default=10)
    parser.add_argument("--memory", default="8GB", help="limit for either side")
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 5, 20], help="how many rules at a time")
    parser.add_argument("--repeats", type=int, default=1, help="the best of so many runs is told")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/centinel-bench"))
    parser.add_argument("--centinel", default="centinel")
    parser.add_argument("--simulate", default="simulate")
    parser.add_argument("--only-centinel", action="store_true")
    parser.add_argument("--as-duckdb", choices=["files", "loaded"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_duckdb:
        return run_duckdb(arguments)
    snapshot = prepare(arguments)
    print(f"{os.cpu_count()} threads, memory limit {arguments.memory}, {arguments.orders:,} orders, "
          f"{sum(rows_of(snapshot).values()):,} rows, load before: {os.getloadavg()[0]:.2f}")
    print(f"{'rules':>5} {'centinel':>18} {'duckdb, files':>18} {'duckdb, loaded':>18} {'times as fast':>14}")
    for count in arguments.rules:
        compare(arguments, count)


def prepare(arguments):
    folder = arguments.folder / str(arguments.orders)
    snapshot = folder / "snapshot"
    if not (snapshot / "manifest.json").exists():
        subprocess.run([arguments.simulate, "--seed", "5", "--orders", str(arguments.orders),
                        "--orders-per-second", "200", "--forms", "parquet", "--without-events",
                        "--faults-per-ten-thousand", str(arguments.faults_per_ten_thousand),
                        "--out", folder], check=True, stdout=subprocess.DEVNULL)
    for table in TABLES:
        (snapshot / f"{table}.parquet").read_bytes()  # both sides find the files in the system's cache
    return snapshot


def rows_of(snapshot):
    tables = json.loads((snapshot / "manifest.json").read_text())["tables"]
    return {name: tables[name]["rows"] for name in TABLES}


def compare(arguments, count):
    me = [sys.executable, __file__, "--orders", str(arguments.orders), "--folder", arguments.folder,
          "--memory", arguments.memory, "--rules", str(count)]
    snapshot = arguments.folder / str(arguments.orders) / "snapshot"
    audit = [arguments.centinel, "audit", "--schemas", ROOT / "schemas", "--rules", ROOT / "sql-rules",
             "--snapshot", snapshot, "--memory", arguments.memory, "--format", "jsonl"]
    audit += [word for rule in RULES[:count] for word in ("--rule", rule)]
    sides = {"centinel": (audit, (0, 2))}
    if not arguments.only_centinel:
        sides |= {mode: (me + ["--as-duckdb", mode], (0,)) for mode in ("files", "loaded")}
    best = {}
    for _ in range(arguments.repeats):
        for name, (command, statuses) in sides.items():
            measured = measure(command, statuses)
            if measured is None and name == "centinel":
                sys.exit("the audit failed")
            if measured and (name not in best or measured[0] < best[name][0]):
                best[name] = measured
    answers = {name: (of_report if name == "centinel" else json.loads)(out) for name, (_, _, out) in best.items()}
    for name, answer in answers.items():
        if answer != answers["centinel"]:
            different = {rule: (answers["centinel"].get(rule), answer.get(rule)) for rule in RULES[:count]
                         if answers["centinel"].get(rule) != answer.get(rule)}
            sys.exit(f"the answers differ (centinel, {name}): {different}")
    shown = " ".join(f"{best[name][0]:7.2f} s {best[name][1]:5.0f} MB" if name in best else f"{'failed':>18}"
                     for name in sides)
    fastest = min((seconds for name, (seconds, _, _) in best.items() if name != "centinel"), default=0)
    print(f"{count:5} {shown} {fastest / best['centinel'][0]:13.2f}x", flush=True)


def measure(command, statuses):
    started = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status) not in statuses:
        return None  # such as DuckDB beyond its memory limit; it has said why
    return seconds, usage.ru_maxrss / 1024, out


def of_report(lines):
    summary = json.loads(lines.splitlines()[-1])
    unsure = [rule["rule"] for rule in summary["rules"] if rule["in_flight"] or rule["could_not_judge"]]
    if unsure or summary["could_not_judge"]:
        sys.exit(f"not everything was judged: {unsure} {summary['could_not_judge']}")
    return {rule["rule"]: [rule["findings"], str(Decimal(rule["at_risk"].get("CNY", "0")).normalize())]
            for rule in summary["rules"]}


def run_duckdb(arguments):
    import duckdb

    snapshot = arguments.folder / str(arguments.orders) / "snapshot"
    rules = RULES[:arguments.rules[0]]
    texts = {rule: (ROOT / "sql-rules" / f"{rule}.sql").read_text() for rule in rules}
    as_of = json.loads((snapshot / "manifest.json").read_text())["as_of"]
    connection = duckdb.connect(config={"threads": os.cpu_count(), "memory_limit": arguments.memory,
                                        "temp_directory": str(arguments.folder / "duckdb")})
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    connection.execute(f"CREATE MACRO as_of() AS TIMESTAMPTZ '{as_of}'")
    kind = "TABLE" if arguments.as_duckdb == "loaded" else "VIEW"
    for table in TABLES:
        file = f"'{snapshot}/{table}.parquet'"
        used = [text for text in texts.values() if re.search(rf"\b{table}\b", body(text))]
        if not used:
            continue
        names = [name for (name, *_) in connection.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()]
        names = [name for name in names if any(re.search(rf"\b{name}\b", body(text)) for text in used)]
        columns = [f"(CAST({name} AS DECIMAL(15, 0)) * 0.01::DECIMAL(3, 2)) AS {name}"
                   if IN_FEN.get(table) == name else name for name in names]
        connection.execute(f"CREATE {kind} {table} AS SELECT {', '.join(columns)} FROM {file}")
    answers = {}
    for rule, text in texts.items():
        amount = re.search(r"^amount: (\w+)$", text, re.MULTILINE).group(1)
        count, total = connection.execute(
            f"SELECT COUNT(*), CAST(COALESCE(SUM(ABS({amount})), 0) AS VARCHAR) FROM ({body(text)}) AS violations"
        ).fetchone()
        answers[rule] = [count, str(Decimal(total).normalize())]
    print(json.dumps(answers))


def body(text):
    return text.split("--- */", 1)[1]


if __name__ == "__main__":
    main()
