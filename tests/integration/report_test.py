"""What a run leaves for people: model card, trainer_state.json and report.html, read by the programs they are for. The
report is looked at in a real browser. REPORT_PICTURES names a folder for screenshots."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402

programs.with_python_deps()
import page_test  # noqa: E402

PICTURES = os.environ.get("REPORT_PICTURES")
CARD, STATE, REPORT = "final/README.md", "trainer_state.json", "report.html"


class ReportTest(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        self.small_model()

    def train(self, name, **sections):
        sections = {"evaluation": {"every_steps": 4}, "checkpoint": {"every_steps": 4, "keep": 5}, **sections}
        self.succeed("equipoise", "train", self.write_job(name, **sections), "--np", 2, "--quiet")
        return self.folder / name


class Report(ReportTest):

    def test_the_card_is_one_that_the_hub_reads(self):
        from huggingface_hub import ModelCard, metadata_eval_result  # noqa: F401
        run = self.train("robust")
        card = ModelCard.load(run / CARD)
        self.assertEqual(card.data.library_name, "transformers")
        self.assertEqual(card.data.tags, ["equipoise", "dpo", "group-robust"])
        self.assertIsNone(card.data.base_model)
        results = {result.metric_type: result.metric_value for result in card.data.eval_results}
        evaluations = [line for line in programs.read_lines(run / "metrics.jsonl") if line.get("split") == "validation"]
        last = evaluations[-1]
        self.assertEqual(results["worst_group_loss"], last["worst_group_loss"])
        self.assertEqual(results["worst_group_accuracy"], last["min_group_accuracy"])
        self.assertEqual(results["loss"], last["eval_loss"])
        worst = last["worst_group"]
        before, after = evaluations[0]["group_loss"][worst], last["group_loss"][worst]
        self.assertIn(f"**{after:.4f} ± {last['group_loss_error'][worst]:.4f}**", card.text)
        self.assertIn(f"loss {before:.4f} ± {evaluations[0]['group_loss_error'][worst]:.4f} before", card.text)
        self.assertIn(f"**{last['group_weight'][worst]:.4f}** |", card.text)
        receipt = json.loads((run / "receipt.json").read_text())
        self.assertIn(receipt["dataset_sha256"], card.text)
        self.assertNotIn(str(self.folder), card.content)
        self.assertNotIn(str(self.folder), (run / REPORT).read_text())
        # The card is no part of what was recorded: people edit it. Anything else that is added is told.
        (run / CARD).write_text(card.content + "\nWritten by hand.\n")
        self.succeed("equipoise", "verify", run)
        (run / "final/more.txt").write_text("")
        self.assertEqual(programs.run("equipoise", "verify", run).returncode, 1)

    def test_the_state_is_one_that_transformers_reads(self):
        from transformers.trainer_callback import TrainerState
        run = self.train("stopped", training={
            "max_steps": 8, "global_batch_size": 16, "seed": 1,
            "early_stopping": {"metric": "worst_group_loss", "mode": "min", "patience": 9, "keep_best": True}})
        state = TrainerState.load_from_json(str(run / STATE))
        lines = programs.read_lines(run / "metrics.jsonl")
        self.assertEqual((state.global_step, state.max_steps), (8, 8))
        self.assertEqual([entry["step"] for entry in state.log_history], [line["step"] for line in lines])
        for entry, line in zip(state.log_history, lines):
            for name, value in entry.items():
                self.assertEqual(value, line[name])
        first = next(entry for entry in state.log_history if "loss" in entry)
        self.assertLessEqual({"rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins",
                              "logps/chosen", "logps/rejected", "loss", "learning_rate", "grad_norm", "epoch"},
                             set(first))
        evaluations = [line for line in lines if line.get("split") == "validation"]
        best = min(evaluations, key=lambda line: line["worst_group_loss"])
        self.assertEqual((state.best_metric, state.best_global_step), (best["worst_group_loss"], best["step"]))
        self.assertEqual(state.num_input_tokens_seen, lines[-2]["num_tokens"])

    def test_a_run_that_went_on_has_the_files_of_one_that_was_not_stopped(self):
        run = self.train("whole")
        kept = {name: (run / name).read_bytes() for name in (CARD, STATE)}
        # As after a crash between the checkpoints of steps 4 and 8.
        shutil.rmtree(run / "final")
        shutil.rmtree(run / "checkpoints/step-8")
        self.succeed("equipoise", "train", self.folder / "whole.yaml", "--np", 2, "--quiet", "--resume")
        self.assertEqual({name: (run / name).read_bytes() for name in (CARD, STATE)}, kept)
        self.assertIn('"isFromCheckpoint":true', (run / REPORT).read_text())

    def test_old_runs_and_unfinished_ones_get_them_afterwards(self):
        run = self.train("old", data={"train": "data/train.jsonl"}, evaluation={})
        self.assertIn("No validation data were given", (run / CARD).read_text())
        kept = {name: (run / name).read_bytes() for name in (CARD, STATE, REPORT)}
        for name in kept:
            (run / name).unlink()
        said = self.succeed("equipoise", "report", run)
        self.assertEqual(said.splitlines(), [str(run / name) for name in (CARD, STATE, REPORT)])
        self.assertEqual({name: (run / name).read_bytes() for name in kept}, kept)
        # As a run leaves it that was killed.
        shutil.rmtree(run / "final")
        ledger = (run / "ledger.bin").read_bytes()
        (run / "ledger.bin").write_bytes(ledger[:len(ledger) // 2])
        lines = (run / "metrics.jsonl").read_text()
        (run / "metrics.jsonl").write_text(lines[:len(lines) // 2])
        (self.folder / "elsewhere").mkdir()
        self.succeed("equipoise", "report", run, "--into", self.folder / "elsewhere")
        self.assertLess(json.loads((self.folder / "elsewhere" / STATE).read_text())["global_step"], 8)
        self.assertIn('"hasEnded":false', (self.folder / "elsewhere" / REPORT).read_text())
        self.assertIn("job.yaml", self.refused("equipoise", "report", self.folder))

    def test_a_report_that_cannot_be_written_is_a_warning(self):
        job = self.write_job("full")
        # A folder that no run removes stands where the file is to be, once training has begun.
        process = subprocess.Popen(
            [programs.BIN / "equipoise", "train", job, "--set", "training.max_steps=40"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=programs.ENVIRONMENT)
        while not (self.folder / "full/metrics.jsonl").exists():
            self.assertIsNone(process.poll())
        (self.folder / "full" / STATE / "in-the-way").mkdir(parents=True)
        said, _ = process.communicate(timeout=240)
        self.assertEqual(process.returncode, 0, said)
        self.assertIn("could not be written", said)
        self.assertTrue((self.folder / "full/final/model.safetensors").exists())
        self.succeed("equipoise", "verify", self.folder / "full")


class InTheBrowser(ReportTest):

    @classmethod
    def setUpClass(cls):
        cls.browser = page_test.Browser()
        cls.addClassCleanup(cls.browser.close)

    def picture(self, name):
        if PICTURES:
            self.browser.picture(file=f"{PICTURES}/{name}.png", full=True)

    def check_accessible(self, file, name):
        for dark, width in ((False, 1280), (True, 1280), (False, 360), (True, 360)):
            self.browser.open(url=file.as_uri(), dark=dark, width=width)
            self.browser.wait(text="Worst off is")
            self.picture(f"{name}-{'dark' if dark else 'light'}-{width}")
            self.assertEqual(self.browser.axe(), [], (dark, width))
            self.assertFalse(self.browser.overflows(), (dark, width))
            self.assertEqual(self.browser.trouble(), [], "script and policy agree")

    def test_the_report_shows_curves_and_groups(self):
        run = self.train("shown")
        browser = self.browser
        self.check_accessible(run / REPORT, "report")
        browser.open(url=(run / REPORT).as_uri())
        self.assertEqual(browser.count(selector=".plot canvas"), 4)
        last = [line for line in programs.read_lines(run / "metrics.jsonl") if line.get("split") == "validation"][-1]
        self.assertIn(last["worst_group"], browser.text(selector=".groups tbody tr"))
        lines = browser.csv(name="CSV of Loss by group").splitlines()
        self.assertRegex(lines[0], "^step,.+ standard error")
        self.assertEqual([line.split(",")[0] for line in lines[1:]], ["0", "4", "8"])
        browser.click(name="training batches", role="radio")
        lines = browser.csv(name="CSV of Loss by group").splitlines()
        self.assertEqual(len(lines), 9)
        before = browser.text(selector=".chart .legend")
        browser.click(name="Hillcrest in the charts", role="checkbox")
        self.assertIn("Hillcrest", before)
        self.assertNotIn("Hillcrest", browser.text(selector=".chart .legend"))
        self.assertEqual(browser.trouble(), [])

    def test_names_are_no_markup_and_many_groups_fit(self):
        """10,000 lines of 4096 groups would be 28 GB; these are lines as they are written, but few."""
        run = self.train("many", training={"max_steps": 2, "global_batch_size": 16, "seed": 1})
        names = ["<img src=x onerror=alert(1)>", "a|b</script><script>alert(1)</script>", "\u202eevil", "{{run}}"]
        names += [f"group {i}" for i in range(4092)]
        lines = []
        for step in range(60):
            losses = {name: 0.7 - 0.005 * step + (0.3 if at < 4 else 0.0001 * (at % 100))
                      for at, name in enumerate(names)}
            groups = {"group_loss": losses, "group_loss_error": dict.fromkeys(names, 0.02),
                      "group_accuracy": dict.fromkeys(names, 0.5), "group_weight": dict.fromkeys(names, 1 / 4096)}
            if step % 20 == 0:
                lines.append({"split": "validation", "step": step, "eval_loss": 0.7, "eval_loss_error": 0.01, **groups})
            lines.append({"step": step + 1, "epoch": 0.1 * step, "loss": 0.7, "loss_error": 0.01, **groups})
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.succeed("equipoise", "report", run, "--replace-card")
        self.assertLess((run / REPORT).stat().st_size, 4 << 20)
        self.assertLess((run / STATE).stat().st_size, 1 << 20)
        self.assertLess((run / CARD).stat().st_size, 32 << 10)
        self.check_accessible(run / REPORT, "many")
        browser = self.browser
        browser.open(url=(run / REPORT).as_uri())
        self.assertIn(names[0], browser.text(selector=".groups"))
        self.assertEqual(browser.count(selector="img"), 0)
        browser.fill(label="Search", value="group 4091")
        self.assertIn("group 4091", browser.text(selector=".groups tbody"))
        self.assertEqual(browser.count(selector=".groups tbody tr"), 1)
        from markdown_it import MarkdownIt
        html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render((run / CARD).read_text())
        self.assertNotIn("<img", html)
        self.assertNotIn("<script", html)

    def test_its_script_fits_its_types(self):
        machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
        tsc = page_test.NPM / f"@typescript/typescript-linux-{machine}/lib/tsc"
        found = subprocess.run([tsc, "-p", programs.ROOT / "common/summary"], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stdout)


if __name__ == "__main__":
    unittest.main()
