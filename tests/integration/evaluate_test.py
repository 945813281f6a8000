"""equipoise evaluate: the numbers of transformers and TRL, on any number of ranks, and what goes wrong in one line."""

import csv
import io
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

GOLDEN = programs.ROOT / "tests/golden/lm"
LOGPS = ["policy_chosen_logp", "policy_rejected_logp", "reference_chosen_logp", "reference_rejected_logp"]
# The settings of each loss of pairs.json.
LOSSES = {
    "dpo": ["--loss", "dpo"],
    "dpo_ls0.1": ["--loss", "dpo", "--set", "loss.label_smoothing=0.1"],
    "ipo_sum": ["--loss", "ipo"],
    "ipo_trl": ["--loss", "ipo", "--set", "loss.length_normalized=true"],
    "robust_trl_ls0.1": ["--loss", "robust", "--set", "loss.label_smoothing=0.1"],
}


def rounding_of(logp):
    """What float32 makes of a log-prob: two attention kernels of transformers differ by 3e-5 on these pairs."""
    return 1e-6 * abs(logp) + 3e-5


def families():
    return sorted(folder.parent.name for folder in (GOLDEN / "models").glob("*/policy")
                  if (GOLDEN / "golden" / folder.parent.name / "pairs.json").exists())


class Evaluate(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.output = self.folder / "pairs.jsonl"

    def golden(self, family):
        """The 16 golden pairs as a data file, with the models; returns what other programs said of them."""
        for model in ("policy", "reference"):
            target = self.folder / family / model
            shutil.copytree(GOLDEN / "models" / family / "policy", target)  # the tokenizer
            for file in ("config.json", "model.safetensors"):
                shutil.copy(GOLDEN / "models" / family / model / file, target / file)
        golden = json.loads((GOLDEN / "golden" / family / "pairs.json").read_text())
        texts = {file: (GOLDEN / f"data/{file}.jsonl").read_text().splitlines() for file in ("train", "edge")}
        lines = [texts[pair["file"]][pair["line"]] for pair in golden["pairs"]]
        (self.folder / "data.jsonl").write_text("\n".join(lines) + "\n")
        return golden

    def arguments(self, *more, family="gemma", reference=True):
        paths = ["--model", self.folder / family / "policy", "--data", self.folder / "data.jsonl", "--output", self.output]
        if reference:
            paths += ["--reference", self.folder / family / "reference"]
        return ["equipoise", "evaluate", *paths, *more]

    def evaluate(self, *more, **options):
        self.printed = self.succeed(*self.arguments(*more, **options))
        return programs.read_lines(self.output)

    def leave_nothing_behind(self, before=None):
        """The output is as it was, and no file was left beside it."""
        if before is None:
            self.assertFalse(self.output.exists())
        else:
            self.assertEqual(self.output.read_bytes(), before)
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith(".")], [])

    def test_agrees_with_transformers_and_trl(self):
        for family in families():
            golden = self.golden(family)
            for ranks in (1, 2):
                lines = self.evaluate("--np", ranks, "--micro-batch-tokens", 300, family=family)
                self.assertEqual([line["index"] for line in lines], list(range(16)))
                for line, pair in zip(lines, golden["pairs"]):
                    self.assertEqual(line["group"], pair["group"])
                    self.assertEqual(line["chosen_tokens"], pair["chosen_tokens"])
                    self.assertEqual(line["rejected_tokens"], pair["rejected_tokens"])
                    for name in LOGPS:
                        self.assertAlmostEqual(line[name], pair[name], delta=rounding_of(pair[name]), msg=name)

    def test_losses_are_those_of_trl_and_the_paper(self):
        for family in families():
            golden = self.golden(family)
            for name, flags in LOSSES.items():
                if name not in golden["losses"]:
                    continue
                lines = self.evaluate("--np", 2, *flags, family=family)
                for line, pair, expected in zip(lines, golden["pairs"], golden["losses"][name]):
                    # The slope of the loss times what four log-probs may differ by.
                    slope = 2 * math.sqrt(expected) if name.startswith("ipo") else 0.125
                    rounding = sum(rounding_of(pair[logp]) for logp in LOGPS)
                    self.assertAlmostEqual(line["loss"], expected, delta=slope * rounding + 1e-6, msg=f"{family} {name}")

    def test_gives_the_same_on_any_number_of_ranks(self):
        self.golden("gemma")
        for dtype in ("float64", "float32"):
            self.evaluate("--np", 1, "--dtype", dtype, "--micro-batch-tokens", 300)
            one = self.output.read_bytes()
            for ranks in (2, 3):
                lines = self.evaluate("--np", ranks, "--dtype", dtype, "--micro-batch-tokens", 300)
                if dtype == "float64":
                    self.assertEqual(self.output.read_bytes(), one)
                for line, other in zip(lines, map(json.loads, one.splitlines())):
                    for name in [*LOGPS, "loss"]:
                        self.assertLessEqual(abs(line[name] - other[name]), 1e-6 * max(1, abs(other[name])))

    def test_without_a_reference_there_are_no_reference_fields(self):
        self.golden("gemma")
        lines = self.evaluate("--beta", 0.2, reference=False)
        self.assertFalse([name for name in lines[0] if name.startswith("reference")])
        for line in lines:
            margin = 0.2 * (line["policy_chosen_logp"] - line["policy_rejected_logp"])
            self.assertAlmostEqual(line["loss"], math.log1p(math.exp(-margin)), delta=1e-5 * max(1, abs(margin)))
        sft = self.evaluate("--loss", "sft", reference=False)
        for line, other in zip(sft, lines):
            self.assertAlmostEqual(line["policy_chosen_logp"], other["policy_chosen_logp"], delta=1e-3)
            self.assertEqual(line["loss"], -line["policy_chosen_logp"])
            self.assertNotIn("policy_rejected_logp", line)

    def test_table_has_means_and_errors_of_every_group(self):
        self.golden("gemma")
        lines = self.evaluate("--np", 2, "--dtype", "float64")
        groups = {}
        for line in lines:
            groups.setdefault(line["group"], []).append(line)
        means = {name: sum(line["loss"] for line in of) / len(of) for name, of in groups.items()}
        rows = {row.split()[0]: row for row in self.printed.splitlines() if row.split() and row.split()[0] in groups}
        for name, of in groups.items():
            self.assertIn(f"{means[name]:.4f}", rows[name])
            self.assertIn(str(len(of)), rows[name].split())
            if len(of) > 1:
                error = math.sqrt(sum((line["loss"] - means[name]) ** 2 for line in of) / (len(of) * (len(of) - 1)))
                self.assertIn(f"{means[name]:.4f} ± {error:.4f}", rows[name])
            gain = [line["policy_chosen_logp"] - line["reference_chosen_logp"] > line["policy_rejected_logp"] -
                    line["reference_rejected_logp"] for line in of]
            self.assertIn(f"{sum(gain) / len(of):.3f} ±", rows[name])
        worst = max(means, key=means.get)
        self.assertEqual([name for name, row in rows.items() if "worst" in row], [worst])

    def test_formats_put_the_table_alone_on_standard_output(self):
        self.golden("gemma")
        lines = self.evaluate("--np", 2, "--dtype", "float64", "--format", "csv", "--max-length", 52)
        rows = list(csv.DictReader(io.StringIO(self.printed)))
        scored = [line for line in lines if "loss" in line]
        self.assertEqual([row["group"] for row in rows][-1], "(all pairs)")
        self.assertEqual(int(rows[-1]["left_out"]), 16 - len(scored))
        self.assertAlmostEqual(float(rows[-1]["loss"]), sum(line["loss"] for line in scored) / len(scored), delta=1e-12)
        self.evaluate("--format", "markdown")
        self.assertTrue(self.printed.startswith("| group | pairs | "), self.printed)
        self.evaluate("--format", "latex")
        self.assertTrue(self.printed.startswith("\\begin{tabular}{"), self.printed)

    def test_groups_may_be_named_for_the_file(self):
        self.golden("gemma")
        lines = self.evaluate("--group", "Asia/India", "--group-separator", "/")
        self.assertEqual({tuple(sorted(line["group"])) for line in lines}, {("Asia", "Asia/India")})

    def test_pairs_that_are_left_out_keep_their_line(self):
        golden = self.golden("gemma")
        limit = 52
        lines = self.evaluate("--max-length", limit, "--np", 2)
        self.assertEqual([line["index"] for line in lines], list(range(16)))
        for line, pair in zip(lines, golden["pairs"]):
            self.assertEqual("dropped" in line, len(pair["prompt_ids"]) >= limit)
            self.assertEqual(line["group"], pair["group"])
            self.assertNotEqual("dropped" in line, "loss" in line)
        dropped = sum("dropped" in line for line in lines)
        self.assertGreater(dropped, 0)
        self.assertIn(f"{dropped} of 16 pairs are left out", self.printed)
        self.assertIn(str(limit), next(line["dropped"] for line in lines if "dropped" in line))

    def test_the_second_evaluation_reads_the_reference(self):
        self.golden("gemma")
        environment = {"EQUIPOISE_CACHE": str(self.folder / "cache")}
        self.succeed(*self.arguments("--np", 2), **environment)
        before = self.output.read_bytes()
        entries = list((self.folder / "cache/reference").iterdir())
        self.assertEqual(len(entries), 1)
        kept = entries[0].stat().st_mtime_ns
        self.succeed(*self.arguments("--np", 1), **environment)
        self.assertEqual(self.output.read_bytes(), before)
        self.assertEqual(entries[0].stat().st_mtime_ns, kept)

    def test_bad_input_is_one_line_and_leaves_the_output_alone(self):
        self.golden("gemma")
        text = (self.folder / "data.jsonl").read_text()
        (self.folder / "data.jsonl").write_text(text + '{"prompt": "Why?", "chosen": "A", "group": "Nigeria"}\n')
        message = self.refused(*self.arguments("--np", 2))
        self.assertIn("data.jsonl:17:", message)
        self.assertIn('"rejected"', message)
        self.leave_nothing_behind()

        (self.folder / "data.jsonl").write_text(text)
        self.output.write_text("kept")
        weights = self.folder / "gemma/policy/model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-4:] = b"\xff\xff\xff\x7f"  # the last weight: NaN
        weights.write_bytes(data)
        self.assertIn("not finite", self.refused(*self.arguments("--np", 2)))
        self.leave_nothing_behind(b"kept")

    def test_what_is_not_there_is_refused_before_anything_starts(self):
        self.golden("gemma")
        for flag in ("--model", "--reference", "--data"):
            self.assertIn(f"{flag}: {self.folder}/nowhere", self.refused(*self.replaced(flag, self.folder / "nowhere")))
        self.assertIn("nowhere", self.refused(*self.replaced("--output", self.folder / "nowhere/pairs.jsonl")))
        self.assertIn("--loss", self.refused(*self.arguments("--loss", "huber")))
        self.assertIn("loss.beta", self.refused(*self.arguments("--beta", 0)))
        self.leave_nothing_behind()

    def replaced(self, flag, value):
        arguments = self.arguments()
        arguments[arguments.index(flag) + 1] = value
        return arguments

    def start_a_long_one(self):
        """A running evaluation that scores pairs now, on two ranks."""
        self.golden("gemma")
        pairs = programs.read_lines(self.folder / "data.jsonl")
        # No two prompts are the same: what pairs share is computed once.
        with open(self.folder / "data.jsonl", "w") as lines:
            for i in range(1500):
                lines.writelines(json.dumps({**pair, "prompt": f"{i}. {pair['prompt']}"}) + "\n" for pair in pairs)
        self.output.write_text("kept")
        process = subprocess.Popen(
            [str(word) for word in (programs.BIN / "equipoise", *self.arguments("--np", 2, reference=False)[1:])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=programs.ENVIRONMENT)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if "policy log-probs" in line:
                return process
        self.fail("it ended before it scored anything: " + process.stderr.read())

    def ranks_of(self, process):
        mpirun = subprocess.run(["pgrep", "-P", str(process.pid), "mpirun"], capture_output=True, text=True).stdout.split()
        self.assertEqual(len(mpirun), 1)
        return subprocess.run(["pgrep", "-P", mpirun[0]], capture_output=True, text=True).stdout.split()

    @staticmethod
    def is_running(pid):
        """Whether a process is there and not merely waiting to be reaped."""
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except FileNotFoundError:
            return False

    def test_interrupted_it_ends_its_ranks_and_leaves_the_output_alone(self):
        process = self.start_a_long_one()
        ranks = self.ranks_of(process)
        self.assertEqual(len(ranks), 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(errors.strip(), "equipoise evaluate: interrupted")
        for rank in ranks:
            self.assertFalse(self.is_running(rank), "a rank has outlived the command")
        self.leave_nothing_behind(b"kept")

    def test_a_rank_that_is_killed_is_one_line(self):
        process = self.start_a_long_one()
        os.kill(int(self.ranks_of(process)[1]), signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        self.assertIn("signal 9", errors)
        self.assertIn("log: ", errors)
        shutil.rmtree(pathlib.Path(errors.split("log: ")[1].strip()).parent)
        self.leave_nothing_behind(b"kept")


if __name__ == "__main__":
    unittest.main()
