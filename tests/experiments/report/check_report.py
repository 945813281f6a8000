"""Whether a report is one file that fetches nothing, and shows in a browser all that it promises.

check_report.py REPORT bandits|opinions
"""
import collections
import html.parser
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BANDITS_HEADINGS = ["What holds", "Training", "Trade-off χ", "Duality gap", "Final numbers", "Settings"]
OPINIONS_HEADINGS = ["What holds", "Training", "At the end of training", "Final numbers", "Settings"]
# The sections, the figures of each row of charts, and the tables.
WANTED = {
    "bandits": (BANDITS_HEADINGS, [4] * 6 + [3] * 4, ["claims", "slopes", "final-numbers", "settings"]),
    "opinions": (OPINIONS_HEADINGS, [4, 4, 3, 3],
                 ["claims", "final-numbers", "by-group-DPO", "by-group-IPO", "settings"]),
}
VOID = {"meta", "br", "link", "img", "base", "input", "hr"}

Element = collections.namedtuple("Element", "tag attributes children")


class Tree(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.root = Element("", {}, [])
        self.open = [self.root]
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), [])
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.open[-1].children.append(Element(tag, dict(attributes), []))

    def handle_endtag(self, tag):
        while self.open.pop().tag != tag:
            pass

    def handle_data(self, data):
        self.open[-1].children.append(data)


def walk(element):
    yield element
    for child in element.children:
        if isinstance(child, Element):
            yield from walk(child)


def find(element, tag=None, **attributes):
    return [e for e in walk(element) if (tag is None or e.tag == tag) and
            all(value in (e.attributes.get(name) or "").split() for name, value in attributes.items())]


def text_of(element):
    return "".join(child if isinstance(child, str) else text_of(child) for child in element.children)


def fetching(root):
    """What would ask for another file, of the page as it was written."""
    for element in walk(root):
        for name in ("src", "href", "srcset", "data", "onload"):
            if name in element.attributes:
                yield f"<{element.tag}> refers to {element.attributes[name]!r}"
        if element.tag in ("link", "iframe", "object", "embed", "img", "base"):
            yield f"there is a <{element.tag}>"
        if element.tag == "style" and ("url(" in text_of(element) or "@import" in text_of(element)):
            yield "the style sheet fetches something"


def shown(path):
    """The page as a browser without a network has it, and what its scripts complained of."""
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.run(
            ["chromium", "--headless", *(["--no-sandbox"] if os.geteuid() == 0 else []), "--disable-gpu",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", "--enable-logging=stderr",
             "--virtual-time-budget=20000", "--window-size=1280,1000", "--dump-dom", path.as_uri()],
            capture_output=True, text=True, timeout=240)
    return Tree(browser.stdout).root, [line for line in browser.stderr.splitlines() if "CONSOLE" in line]


def main(path, kind):
    headings, rows, tables = WANTED[kind]
    source = Tree(path.read_text(encoding="utf-8")).root
    faults = list(fetching(source))
    json.loads(text_of(find(source, "script", id="results")[0]))
    page, complaints = shown(path)
    faults += complaints
    if [text_of(heading) for heading in find(page, "h2")] != headings:
        faults.append(f"sections are {[text_of(heading) for heading in find(page, 'h2')]}, expected {headings}")
    figures = [find(row, "figure") for row in find(page, "div", **{"class": "charts"})]
    if [len(row) for row in figures] != rows:
        faults.append(f"rows of charts have {[len(row) for row in figures]} figures, expected {rows}")
    for figure in (figure for row in figures for figure in row):
        charts = find(figure, "svg")
        if not charts:
            faults.append("a figure has no chart")
        for chart in charts:
            axes = [e for e in walk(chart) if "role-axis-title" in (e.attributes.get("class") or "")]
            marks = [e for e in walk(chart) if e.tag == "path" and (e.attributes.get("aria-roledescription") or "")]
            if not any(text_of(axis).strip() for axis in axes):
                faults.append(f"a chart has no titled axis: {text_of(chart)[:80]!r}")
            if not marks:
                faults.append(f"a chart draws nothing: {text_of(chart)[:80]!r}")
    for name in tables:
        if not find(page, None, id=name) or not find(find(page, None, id=name)[0], "td"):
            faults.append(f"table {name} is not there or empty")
    for place in find(page):
        if "data-value" in place.attributes and text_of(place) in ("", "undefined"):
            faults.append(f"{place.attributes['data-value']} says {text_of(place)!r}")
    if "undefined" in text_of(find(page, "body")[0]).split("{")[0] or "NaN" in text_of(find(page, "body")[0]).split("{")[0]:
        faults.append("a text says undefined or NaN")
    print("\n".join(faults[:20]))
    return 1 if faults else 0


sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
