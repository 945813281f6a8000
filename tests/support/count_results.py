#!/usr/bin/env python3
"""Counts what ctest ran: count_results.py JUNIT CASES.

JUNIT is ctest's --output-junit, CASES the folder of gtest_program.py's reports. Each case of a C++ test counts, and each
file of the integration tests. What could not run has not passed. Names what failed; the last line is "N passed, N failed".
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


def count(junit, cases):
    """The number that passed, and the names of what failed."""
    passed, failed = 0, []
    for test in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
        name, ran = test.get("name"), test.get("status") == "run"
        report = pathlib.Path(cases) / f"{name}.json"
        if report.exists():
            results = json.loads(report.read_text())
            passed += results["passed"]
            failed += [f"{name} {case}" for case in results["failed"]]
            if results["failed"] or ran:
                continue
        elif ran:
            passed += 1
            continue
        # Python's unittest names its methods.
        methods = re.findall(r"^(?:FAIL|ERROR): (.+)", test.findtext("system-out") or "", re.MULTILINE)
        failed.append(f"{name} ({test.get('status')})" + "".join(f"\n  {method}" for method in methods))
    return passed, failed


def main(junit, cases):
    passed, failed = count(junit, cases)
    for name in failed:
        print("failed:", name)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
