"""The site that `make docs` makes of docs/: strict about links, complete, and whole without a network. DOCS_PICTURES names a
folder for screenshots."""

import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import page_test  # noqa: E402
import programs  # noqa: E402

PICTURES = os.environ.get("DOCS_PICTURES")
ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
# Other pages may be elsewhere, parts of a page may not.
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "embed": "src", "link": "href",
          "object": "data", "use": "href", "image": "href"}


class Loaded(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        value = dict(attributes).get(LOADED.get(tag))
        if value:
            self.found.append(value)


def build(root, *arguments):
    done = subprocess.run([root / "deploy/site/build", *arguments], capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout + done.stderr


class Site(programs.ProgramTest):

    @classmethod
    def setUpClass(cls):
        cls.site = pathlib.Path(os.path.realpath(programs.CACHE)) / "site"
        code, said = build(programs.ROOT, "--site-dir", cls.site)
        assert code == 0, said

    def test_every_page_is_in_it(self):
        pages = list((programs.ROOT / "docs").rglob("*.md"))
        self.assertGreater(len(pages), 50)
        for page in pages:
            self.assertTrue((self.site / page.relative_to(programs.ROOT / "docs")).with_suffix(".html").exists(), page)

    def test_nothing_of_a_page_comes_from_elsewhere(self):
        pages = list(self.site.rglob("*.html"))
        for page in pages:
            parser = Loaded()
            parser.feed(page.read_text())
            self.assertTrue(any(value.endswith(".css") for value in parser.found), page)
            for value in parser.found:
                self.assertIsNone(ELSEWHERE.match(value), f"{page}: {value}")
                if not value.startswith("data:"):
                    # The page of a wrong address is shown at any depth, and so begins at the root.
                    where = self.site / value[1:] if value.startswith("/") else page.parent / value
                    self.assertTrue(pathlib.Path(str(where).split("?")[0].split("#")[0]).exists(), f"{page}: {value}")
        for style in self.site.rglob("*.css"):
            # What an embedded picture says of its name space is no address.
            text = re.sub(r'url\("data:[^"]*"\)', "", style.read_text())
            self.assertNotRegex(text, r"@import|url\(\s*[\"']?(https?:)?//", style)
        for script in self.site.rglob("bundle*.js"):
            self.assertNotRegex(script.read_text(), r"unpkg|cdn\.|jsdelivr|googleapis|gstatic", script)

    def test_a_link_that_leads_nowhere_ends_the_build(self):
        # A few pages are enough; that the others are missing is said, too.
        for name in ("docs/concepts.md", "docs/operations.md", "docs/images/step.svg"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(programs.ROOT / name, self.folder / name)
        shutil.copytree(programs.ROOT / "deploy", self.folder / "deploy")
        for name in ("tests", ".deps"):
            (self.folder / name).symlink_to(programs.ROOT / name)
        page = self.folder / "docs/concepts.md"
        wrong = {"nothing.md": "nothing.md", "operations.md#nowhere": "'#nowhere'", "../deploy/nowhere": "deploy/nowhere"}
        page.write_text(page.read_text() + "\n".join(f"[a link]({link})" for link in wrong))
        (self.folder / "docs/forgotten.md").write_text("# A page that nothing leads to\n")
        code, said = build(self.folder)
        self.assertEqual(code, 1, said)
        for link in (*wrong.values(), "forgotten.md"):
            self.assertRegex(said, f"WARNING(.|\n {{2}})*{re.escape(link)}", link)

    def test_chromium_shows_it_from_files_alone(self):
        browser = page_test.Browser()
        self.addCleanup(browser.close)
        looks = ((False, 1280), (True, 1280), (True, 360), (False, 360)) if PICTURES else ((False, 1280), (True, 360))
        for name, text in (("index", "left behind"), ("configuration", "learning_rate"), ("architecture", "Architecture"),
                           ("reference/api", "TrainingJobService")):
            for dark, width in looks:
                browser.open(url=f"file://{self.site}/{name}.html", dark=dark, width=width)
                browser.wait(text=text)
                self.assertFalse(browser.overflows(), (name, width))
                if name == "architecture":
                    # Mermaid's drawing stands in a shadow tree of this element.
                    browser.appears(selector="div.mermaid")
                self.assertEqual([url for url in browser.asked() if not url.startswith(("file:", "data:", "blob:"))], [])
                self.assertEqual(browser.trouble(), [], name)
                if PICTURES:
                    mode = "dark" if dark else "light"
                    browser.picture(file=f"{PICTURES}/{name.replace('/', '-')}-{mode}-{width}.png", full=False)

    def test_search_finds_a_key_where_pages_are_files(self):
        browser = page_test.Browser()
        self.addCleanup(browser.close)
        browser.open(url=f"file://{self.site}/index.html")
        browser.fill(label="Search", value="warmup_steps")
        browser.key(key="End")
        browser.wait(selector=".md-search-result__list", text="warmup_steps")
        self.assertEqual([url for url in browser.asked() if not url.startswith(("file:", "data:", "blob:"))], [])


if __name__ == "__main__":
    unittest.main()
