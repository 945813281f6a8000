"""Groups whose names mean something to somebody: to HTML, CSV, Prometheus, JavaScript, YAML, paths and formulas. Wherever
a run says them they are the names of the data."""

import csv
import io
import json
import pathlib
import re
import sys
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402

programs.with_python_deps()
import page_test  # noqa: E402
import python_client  # noqa: E402

equipoise = python_client.load()
sys.path.append(str(programs.DEPS / "python-tensorboard"))

NAMES = ["=1+1", "@SUM(A1:A9)", "-5", "+7 years", "__proto__", "constructor", "toString", "a/b", "../up", "a\"b\\c",
         "O'Brien & <b>sons</b>", "100 %", "a,b;c", "{{run}}", "$(id)", "ключ", "🌍 world", "null", "loss", "a\\nb", "x" * 256]
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def as_text(name):
    """What the CSV has of a name: a spreadsheet computes no text behind a quote."""
    return "'" + name if name[0] in "=+-@" and name != "-5" else name


class GroupNames(programs.ProgramTest):

    def get(self, path, **query):
        address = f"http://{self.coordinator.http}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.read().decode()

    def check_run(self, run):
        """Its files."""
        steps = [line for line in programs.read_lines(run / "metrics.jsonl") if "split" not in line]
        self.assertEqual(set(steps[-1]["group_weight"]), set(NAMES))
        curves = equipoise.read_metrics(run)
        self.assertLessEqual({f"group_weight/{name}" for name in NAMES}, set(curves.columns))
        state = json.loads((run / "trainer_state.json").read_text())
        self.assertLessEqual({f"group/{name}/weight" for name in NAMES}, set(state["log_history"][-2]))
        embedded = re.search(r'<script[^>]*id="run"[^>]*>(.*?)</script>', (run / "report.html").read_text(), re.S)[1]
        self.assertEqual({group["name"] for group in json.loads(embedded)["groups"]}, set(NAMES))
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
        events.Reload()
        self.assertLessEqual({f"train/group/{name}/weight" for name in NAMES}, set(events.Tags()["scalars"]))
        compared = self.succeed("equipoise", "compare", run, "-o", "csv")
        self.assertEqual({row[1] for row in [*csv.reader(io.StringIO(compared))][1:]}, set(map(as_text, NAMES)))

    def check_service(self, job_id):
        """What the coordinator says."""
        at = ["--coordinator", self.coordinator.address]
        job = json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", *at))
        self.assertEqual([group["name"] for group in job["groups"]], NAMES)
        weights = [*csv.reader(io.StringIO(self.succeed("equipoise", "jobs", "weights", job_id, "-o", "csv", *at)))]
        self.assertEqual(weights[0][2:], [*map(as_text, NAMES)])
        with equipoise.Client(self.coordinator.address) as client:
            self.assertEqual([*client.weights(job_id).columns], NAMES)
        labels = set()
        for line in self.get("/metrics").splitlines():
            if line.startswith("equipoise_group_weight{"):
                labels |= {re.sub(r"\\.", lambda at: ESCAPED[at[0]], value) for key, value in LABEL.findall(line)
                           if key == "group"}
        self.assertEqual(labels, set(NAMES))
        absent = set()  # from the batch
        for name in NAMES:
            curves = json.loads(self.get(f"/v1/jobs/{job_id}/curves", group=name))
            self.assertEqual([*curves["train"]["groups"]], [name])
            self.assertTrue(all(weight is not None for weight in curves["train"]["groups"][name]["weight"]), name)
            moves = json.loads(self.get(f"/v1/jobs/{job_id}/moves", group=name, to=4))
            self.assertEqual((moves["group"], moves["step"], moves["groups"][0]), (name, 4, name))
            absent |= {name} - set(moves["pairs"]["groups"])
        # JavaScript finds something of these names in every object.
        self.assertTrue(absent & {"__proto__", "constructor", "toString"})

    def check_page(self, job_id):
        browser = page_test.Browser()
        self.addCleanup(browser.close)
        browser.open(url=f"http://{self.coordinator.http}/#/jobs/{job_id}")
        browser.wait(text="SUCCEEDED", selector=".job")
        browser.wait(text="At step 4", selector=".chart .hidden")
        for name in NAMES:
            browser.fill(label="Search", value=name)
            browser.wait(text=name, selector='[aria-label="Groups, the worst off first"] tbody')
            browser.choose(label="Group", value=name)
            browser.fill(label="Step", value="4", exact=True)
            browser.key(key="Enter")
            browser.wait(text=f"{name} at step 4", selector=".why .answer")
            self.assertEqual(browser.text(selector=".why .trouble"), "")
        shown = browser.csv(name="CSV of Weight α by group")
        heads = next(csv.reader(io.StringIO(shown)))[1:]
        self.assertEqual(len(heads), 8)
        self.assertLessEqual(set(heads), {"'" + name if name[0] in "=+-@" else name for name in NAMES})
        self.assertEqual(browser.count(selector="main b"), 0, "names are no markup")
        self.assertEqual(browser.trouble(), [])

    def test_are_the_names_of_the_data_everywhere(self):
        self.small_model()
        (self.folder / "pairs.jsonl").write_text("".join(
            json.dumps({"prompt": "Which?", "chosen": f" {at % 7}", "rejected": f" {at % 5 + 7}", "group": name}) + "\n"
            for at, name in enumerate(NAMES * 3)))
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)
        job = self.write_job("named", data={"train": "pairs.jsonl", "validation": "pairs.jsonl"},
                             logging={"tensorboard": True},
                             training={"max_steps": 4, "global_batch_size": 8, "seed": 1, "sampling": "permutation"})
        job_id = self.succeed("equipoise", "submit", job, "--coordinator", self.coordinator.address, "--np", "2",
                              "-o", "name").strip()
        with equipoise.Client(self.coordinator.address) as client:
            client.wait(job_id, timeout=200)
        self.check_run(self.folder / "named")
        self.check_service(job_id)
        self.check_page(job_id)


if __name__ == "__main__":
    unittest.main()
