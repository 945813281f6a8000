"""equipoise reproduce opinions, whole: a small survey in, a private coordinator, mpirun ranks, a report out."""

import collections
import csv
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import ROOT, ProgramTest, read_lines, run  # noqa: E402

SURVEY = ROOT / "tests/golden/surveys/global_opinions.csv"
METHODS = {"SFT": "sft", "DPO": "dpo", "IS-DPO": "is-dpo", "GR-DPO": "gr-dpo", "IPO": "ipo", "IS-IPO": "is-ipo",
           "GR-IPO": "gr-ipo"}
COUNTRIES = {"Nigeria", "Egypt", "India (Current national sample)", "China", "Japan"}
SEEDS = (3, 4)


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Opinions(ProgramTest):
    def setUp(self):
        super().setUp()
        self.output = self.folder / "opinions"
        self.command = self.command_with()

    def command_with(self, **changes):
        options = {"survey": SURVEY, "seeds": len(SEEDS), "first-seed": SEEDS[0], "np": 1, "output": self.output, **changes}
        words = ["equipoise", "reproduce", "opinions", "--quick"]
        for name, value in options.items():
            words += ["--" + name, value]
        return words

    def test_runs_every_method_reports_what_the_runs_wrote_and_does_not_repeat_them(self):
        said = self.succeed(*self.command)
        self.assertNotIn("finished before", said)
        self.check_report()
        self.check_evaluations()
        self.check_weights()
        self.check_summary()

        first = self.files()
        result = run(*self.command, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("finished before"), len(METHODS) * len(SEEDS))
        self.check_json(json.loads(result.stdout))
        self.assertEqual(self.files(), first)

        # A run that was broken off is done again, and alone.
        (self.output / "runs/seed-4/gr-ipo/fingerprint").unlink()
        said = self.succeed(*self.command)
        self.assertEqual(said.count("finished before"), len(METHODS) * len(SEEDS) - 1)

    def check_json(self, end):
        self.assertEqual((end["report"], end["seeds"]), (f"{self.output}/report/report.html", len(SEEDS)))
        said = [(claim["claim"], finding["family"], "holds" if finding["holds"] else "does not hold", finding["numbers"])
                for claim in end["claims"] for finding in claim["findings"]]
        rows = read_table(self.output / "report/claims.csv")
        self.assertEqual(said, [(row["claim"], row["family"], row["verdict"], row["numbers"]) for row in rows])
        self.assertEqual((end["judged"], end["holding"]), (len(rows), [row["verdict"] for row in rows].count("holds")))

    def files(self):
        return {path.name: path.read_bytes() for path in (self.output / "report").iterdir()}

    def metrics(self, method, seed):
        return read_lines(self.output / f"runs/seed-{seed}" / METHODS[method] / "metrics.jsonl")

    def check_report(self):
        report = self.output / "report/report.html"
        check = subprocess.run([sys.executable, ROOT / "tests/experiments/report/check_report.py", report, "opinions"],
                               capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        text = report.read_text()
        results = json.loads(text.partition('id="results">')[2].partition("</script>")[0])
        self.assertEqual({job["job"] for job in results["jobs"]}, set(METHODS))
        self.assertEqual({group["name"] for group in results["groups"]}, COUNTRIES)

    def check_evaluations(self):
        rows = read_table(self.output / "report/evaluations.csv")
        self.assertEqual({row["method"] for row in rows}, set(METHODS))
        self.assertEqual({row["group"] for row in rows}, COUNTRIES)
        seen = collections.Counter()
        for row in rows:
            line = next(line for line in self.metrics(row["method"], row["seed"])
                        if line.get("split") == "validation" and line["step"] == int(row["step"]))
            seen[row["method"], row["seed"], line["step"]] += 1
            group = row["group"]
            self.assertEqual(float(row["validation_loss"]), line["group_loss"][group])
            if row["method"] == "SFT":
                self.assertEqual((row["reward_accuracy"], row["log_prob_accuracy"]), ("", ""))
            else:
                self.assertEqual(float(row["reward_accuracy"]), line["group_accuracy"][group])
                self.assertEqual(float(row["log_prob_accuracy"]), line["group_logp_accuracy"][group])
        for method in METHODS:
            for seed in SEEDS:
                steps = [line["step"] for line in self.metrics(method, seed) if line.get("split") == "validation"]
                for step in steps:
                    self.assertEqual(seen[method, str(seed), step], len(COUNTRIES), (method, seed, step))

    def check_weights(self):
        for row in read_table(self.output / "report/weights.csv"):
            line = next(line for line in self.metrics(row["method"], row["seed"]) if line["step"] == int(row["step"]))
            self.assertEqual(float(row["alpha"]), line["group_weight"][row["group"]])

    def check_summary(self):
        summary = {(row["method"], row["measure"]): row for row in read_table(self.output / "report/summary.csv")}
        for method in set(METHODS) - {"SFT"}:
            ends = [self.metrics(method, seed)[-1] for seed in SEEDS]
            worst = sum(max(end["group_loss"].values()) for end in ends) / len(SEEDS)
            self.assertAlmostEqual(float(summary[method, "max_group_loss"]["mean"]), worst, delta=1e-12 * worst)
            accuracy = sum(min(end["group_accuracy"].values()) for end in ends) / len(SEEDS)
            self.assertAlmostEqual(float(summary[method, "min_reward_accuracy"]["mean"]), accuracy, delta=1e-12)

    def test_methods_go_on_with_the_adapter_that_sft_leaves(self):
        jobs = self.folder / "jobs"
        jobs.mkdir()
        for method, name in METHODS.items():
            loss = "sft" if method == "SFT" else method[-3:].lower()
            mode = {"IS": "importance", "GR": "group_robust"}.get(method.split("-")[0], "none")
            model = "model: {lora: {r: 2, alpha: 4}}\n" if method == "SFT" else ""
            (jobs / f"{name}.yaml").write_text(
                f"{model}loss: {{type: {loss}}}\nrobust: {{mode: {mode}}}\n"
                "training: {max_steps: 2, global_batch_size: 4}\nevaluation: {every_steps: 2}\n")
        self.succeed(*self.command_with(jobs=jobs))
        for seed in SEEDS:
            runs = self.output / f"runs/seed-{seed}"
            for name in METHODS.values():
                self.assertTrue((runs / name / "final/adapter_model.safetensors").exists(), name)
            job = (runs / "gr-dpo/job.yaml").read_text()
            self.assertIn(f"adapter: {runs}/sft/final\n", job)
            self.assertIn(f"path: {self.output}/models/seed-{seed}\n", job)

    def test_refuses_what_is_wrong_before_it_works(self):
        survey = self.folder / "survey.txt"
        survey.write_text("")
        for changes, said in (({"survey": survey}, ".csv (GlobalOpinionQA) or .jsonl"),
                              ({"survey": self.folder / "absent.csv"}, "absent.csv"),
                              ({"group": "Atlantis"}, 'group "Atlantis" is not in the survey'),
                              ({"seeds": 1}, "seeds is 1"),
                              ({"model": self.folder / "nowhere"}, "nowhere"),
                              ({"jobs": self.folder}, "sft.yaml")):
            self.assertIn(said, self.refused(*self.command_with(**changes)))
        self.assertFalse(self.output.exists())
        (self.output / "notes").mkdir(parents=True)
        self.assertIn('"notes"', self.refused(*self.command))


if __name__ == "__main__":
    unittest.main()
