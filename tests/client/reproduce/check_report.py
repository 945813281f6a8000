"""Whether a report is one well-formed file that shows all it promises and fetches nothing.

check_report.py REPORT bandits|opinions
"""
import re
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"
PATH = re.compile(r"(M|L)-?\d+(\.\d+)? -?\d+(\.\d+)?((L|M)-?\d+(\.\d+)? -?\d+(\.\d+)?)*Z?|M1 5H27")

text = open(sys.argv[1], encoding="utf-8").read()
root = tree.fromstring(text)  # refuses what is not well-formed
faults = []

headings = ["".join(heading.itertext()) for heading in root.iter("h2")]
wanted, figures = {
    "bandits": (["What holds", "Training", "Trade-off χ", "Duality gap", "Final numbers", "Settings"], [4] * 6 + [3] * 4),
    "opinions": (["What holds", "Training", "At the end of training", "Final numbers", "Settings"], [4, 4, 3, 3]),
}[sys.argv[2]]
if headings != wanted:
    faults.append(f"sections are {headings}, expected {wanted}")

rows = [division for division in root.iter("div") if "row" in division.get("class", "").split()]
if [len(row) for row in rows] != figures:
    faults.append(f"rows of plots have {[len(row) for row in rows]} figures")

for element in root.iter():
    for name, value in element.items():
        if name in ("src", "href", "srcset", "data", "onload") or name.startswith("{http://www.w3.org/1999/xlink}"):
            faults.append(f"{element.tag} refers to {value!r}")
    if element.tag in ("script", "link", "iframe", "object", "embed", "img", "base"):
        faults.append(f"there is a <{element.tag}>")
for style in root.iter("style"):
    if "url(" in style.text or "@import" in style.text:
        faults.append("the style sheet fetches something")
if "//" in text.replace("http://www.w3.org/2000/svg", ""):
    faults.append("an address is left in the text")

defined = set(re.findall(r"\.(ink-[a-z]+) \{", "".join(style.text for style in root.iter("style"))))
for picture in root.iter(SVG + "svg"):
    width, height = (float(number) for number in picture.get("viewBox").split()[2:])
    for element in picture.iter():
        if element.tag == SVG + "path" and not PATH.fullmatch(element.get("d")):
            faults.append(f"path {element.get('d')[:80]!r}")
        for name, value in element.items():
            limit = width if name in ("x", "x1", "x2", "cx") else height if name in ("y", "y1", "y2", "cy") else None
            if limit is not None and not 0 <= float(value) <= limit:
                faults.append(f"{element.tag} has {name}={value} outside its picture")
            if name == "class":
                faults += [f"no style for {c}" for c in value.split() if c.startswith("ink-") and c not in defined]

print("\n".join(faults[:20]))
sys.exit(1 if faults else 0)
