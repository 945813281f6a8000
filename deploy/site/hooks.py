"""What mkdocs.yml cannot say: pages for linked files of the repository, and scripts that pages bring along."""

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NPM = ROOT / ".deps/npm"
# A link of a page to a file or folder of the repository, relative to the page: [text](../deploy/slurm).
LINK = re.compile(r"\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)")
# The marks of a block are for tests/integration/docs_test.py; the name of a file is shown.
MARKS = re.compile(r'^(\s*```[a-z]+) \{(?:file=("[^"]*")|[^}\n]*)\}$', re.MULTILINE)
# A link whose text is the page's file: [operations.md](operations.md#tls).
NAMED_BY_FILE = re.compile(r"\[([\w./-]+\.md)\]\(([^)#\s]+\.md)(#[^)\s]*)?\)")
LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".py": "python", ".toml": "toml", ".html": "html",
             ".sbatch": "bash", ".service": "ini", "": "bash"}
# What Material's script would fetch where it is missing: mermaid, which on_post_page brings, and what every browser has.
CDN = re.compile(r'"https://unpkg\.com/[^"]*"')


def outside(page_folder, link):
    """The path in the repository that a link leads to, where that is not a page."""
    path = (page_folder / link).resolve()
    if DOCS in path.parents or ROOT not in path.parents or not path.exists():
        return None
    return path.relative_to(ROOT)


def source_page(path):
    """The page that shows a file, or lists a folder."""
    return f"source/{path}.md" if (ROOT / path).is_file() else f"source/{path}/index.md"


def shown(path):
    """The page's text: for a folder everything below it."""
    lines = [f"# {path}", ""]
    for file in [ROOT / path] if (ROOT / path).is_file() else sorted(p for p in (ROOT / path).rglob("*") if p.is_file()):
        if "__pycache__" in file.parts:
            continue
        if file != ROOT / path:
            lines += [f"## {file.relative_to(ROOT / path)}", ""]
        lines += [f"````{LANGUAGES.get(file.suffix, 'text')}", file.read_text().rstrip(), "````", ""]
    return "\n".join(lines)


def on_config(config):
    """The decisions stand in the navigation without being listed there."""
    decisions = sorted(f"decisions/{path.name}" for path in (DOCS / "decisions").glob("*.md"))
    config.nav[-1]["Development"].append({"Decisions": decisions})
    return config


def on_files(files, config):
    found = set()
    for file in files.documentation_pages():
        folder = pathlib.Path(file.abs_src_path).parent
        found |= {outside(folder, link) for link, _ in LINK.findall(pathlib.Path(file.abs_src_path).read_text())}
    for path in sorted(found - {None}):
        files.append(File.generated(config, source_page(path), content=shown(path)))
    scripts = {"iframe-worker.js": NPM / "iframe-worker/shim/index.js", "mermaid.js": NPM / "mermaid/dist/mermaid.min.js"}
    for name, path in scripts.items():
        files.append(File.generated(config, f"assets/javascripts/{name}", abs_src_path=str(path)))
    style = pathlib.Path(__file__).with_name("site.css")
    files.append(File.generated(config, "assets/stylesheets/site.css", abs_src_path=str(style)))
    return files


def on_page_markdown(markdown, page, **_):
    if page.file.src_uri.startswith("source/"):
        return markdown
    folder = (DOCS / page.file.src_uri).parent

    def to_source(match):
        path = outside(folder, match[1])
        if path is None:
            return match[0]
        up = "../" * page.file.src_uri.count("/")
        return f"]({up}{source_page(path)}{match[2] or ''})"

    def title(match):
        return f"{match[1]} title={match[2]}" if match[2] else match[1]

    def by_title(match):
        target = folder / match[2]
        if not target.exists():
            return match[0]
        title = re.search(r"^# (.+)$", target.read_text(), re.MULTILINE)[1]
        return f"[{title}]({match[2]}{match[3] or ''})"

    return NAMED_BY_FILE.sub(by_title, LINK.sub(to_source, MARKS.sub(title, markdown)))


def on_post_page(output, page, **_):
    """A page with a diagram brings the script that draws it: Material would fetch it from a CDN."""
    if 'class="mermaid"' not in output:
        return output
    up = "../" * page.file.src_uri.count("/")
    return output.replace("</head>", f'<script src="{up}assets/javascripts/mermaid.js"></script></head>')


def on_post_build(config, **_):
    for bundle in pathlib.Path(config.site_dir).glob("assets/javascripts/bundle.*.js"):
        text, count = CDN.subn('""', bundle.read_text())
        if count != 2:
            raise RuntimeError(f"{bundle.name}: {count} addresses of a CDN, expected mermaid's and ResizeObserver's")
        bundle.write_text(text)
