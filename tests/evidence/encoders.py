"""``make evidence``, cost of encoders: runs ``videolit bench encoders`` and rewrites the README's table.

About ten minutes on two cores, on which nothing else should run. The figures are kept in
``tests/evidence/encoders.json``.
"""

from __future__ import annotations

from pathlib import Path

from harness import kept, parser_of, rewrite

from videolit import cli

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- encoders:begin -->", "<!-- encoders:end -->"


def main() -> None:
    """Measure, unless only the table is wanted, and write the table."""
    parser = parser_of(__doc__)
    if not parser.parse_args().tables:
        code = cli.main(["bench", "encoders", "--accelerator", "cpu", "--json", str(RESULTS)])
        if code:
            raise SystemExit(code)
    rewrite(BEGIN, END, tables(kept(RESULTS)))


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    threads = results["threads"]
    many = [f"{count} threads" if count > 1 else "1 thread" for count in threads]
    lines = [
        f"| encoder | clip | parameters | GFLOPs | {' | '.join(f'{m}, ms' for m in many)} | "
        f"{' | '.join(f'{m}, bf16, ms' for m in many)} | peak memory, MB |",
        "|---|---|" + "---|" * (3 + 2 * len(threads)),
    ]
    for name, row in results["encoders"].items():
        times = [
            f"{1000 * row[kind][str(count)]:.0f}"
            for kind in ("latency", "latency_bf16")
            for count in threads
        ]
        lines.append(
            f"| {name} | {row['clip']} | {row['parameters'] / 1e6:.2f} M | {row['gflops']:.2f} | "
            f"{' | '.join(times)} | {row['memory_mb']:.0f} |"
        )
    lines += [
        "",
        f"`videolit bench encoders` on {results['machine']}; one clip at a time, forwards, random "
        "weights; GFLOPs count a multiplication with its addition as one.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
