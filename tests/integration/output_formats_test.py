"""`-o json|yaml|wide|name` and `--json`, of every verb that the program has: a verb that is added has to be named here."""

import json
import pathlib
import re
import sys
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

# What has no result that a program would read, and why.
WITHOUT = {
    "completion": "a script",
    "convert": "a job file",
    "export": "a folder",
    "jobs delete": "nothing is left",
    "jobs report": "what it has found goes to Kubeflow Trainer",
    "token create": "a secret, shown once",
    "version": "one line",
}
# What takes long, and has its result read as JSON in another test.
ELSEWHERE = {"reproduce opinions": "opinions_test"}


class OutputFormats(programs.ProgramTest):

    def read(self, *arguments):
        """The JSON that a verb prints alone on standard output."""
        text = self.succeed("equipoise", *arguments, "--json")
        self.assertTrue(text.endswith("\n"), text)
        self.assertNotIn("\x1b", text)
        return json.loads(text)

    def commands(self):
        """A command line of each verb that prints a result, in an order in which all of them work."""
        folder, data = self.folder, self.folder / "data"
        pairs = data / "train.jsonl"
        yield "data generate", [folder / "survey.jsonl", "--questions", "80"]
        yield "data import opinionqa", [folder / "survey.jsonl", "--output", data]
        (folder / "global.csv").write_text(
            "question,selections,options\n" + "".join(
                f"Q{number}?,\"defaultdict(<class 'list'>, {{'Spain': [0.6, 0.4], 'Japan': [0.2, 0.8]}})\",\"['A', 'B']\"\n"
                for number in range(10)))
        yield "data import globalopinionqa", [folder / "global.csv", "--output", folder / "global", "--all-groups"]
        yield "data import preferences", [pairs, "--output", folder / "all.jsonl"]
        yield "data check", [pairs]
        yield "data log-linear", [folder / "bandit"]
        yield "reproduce bandits", ["--output", folder / "bandits", "--seeds", "2", "--iterations", "20"]
        yield "model init", [folder / "model", "--data", pairs, "--hidden-size", "32", "--layers", "1", "--heads", "2",
                             "--head-dim", "16", "--intermediate-size", "64", "--vocab-size", "400"]
        job = self.write_job("run", training={"max_steps": 4, "global_batch_size": 16, "seed": 1},
                             checkpoint={"every_steps": 2, "keep": 2})
        yield "train", [job]
        yield "compare", [folder / "run"]
        yield "evaluate", ["--model", folder / "run/final", "--data", data / "validation.jsonl", "--output",
                           folder / "pairs.jsonl"]
        yield "verify", [folder / "run"]
        yield "explain", [folder / "run", "--step", "2"]
        yield "report", [folder / "run"]
        yield "checkpoints list", [folder / "run"]
        yield "checkpoints verify", [folder / "run"]
        yield "checkpoints prune", [folder / "run", "--keep", "1"]
        yield "doctor", ["--output", folder]
        with self.coordinator() as coordinator:
            at = ["--coordinator", coordinator.address]
            served = self.write_job("served", training={"max_steps": 100000, "global_batch_size": 16, "seed": 1})
            yield "submit", [served, *at]
            yield "jobs list", at
            [job_id] = self.succeed("equipoise", "jobs", "list", *at, "-o", "name").split()
            self.wait_until_running(job_id, at)
            for verb in ("get", "ranks", "weights", "attempts", "events", "tree"):
                yield f"jobs {verb}", [job_id, *at]
            yield "jobs set", [job_id, "learning_rate=0.002", *at]
            yield "jobs evaluate", [job_id, "--wait", *at]
            yield "jobs checkpoint", [job_id, "--wait", *at]
            yield "jobs checkpoints", [job_id, *at]
            yield "jobs fork", [job_id, "--set", "training.max_steps=100001", "--output", folder / "fork", *at]
            yield "jobs pause", [job_id, "--wait", *at]
            yield "jobs resume", [job_id, *at]
            yield "jobs cancel", [job_id, *at]
            # The fork would have the only place for hours.
            for fork in set(self.succeed("equipoise", "jobs", "list", *at, "-o", "name").split()) - {job_id}:
                self.succeed("equipoise", "jobs", "cancel", fork, *at)
            short = self.write_job("short", training={"max_steps": 2, "global_batch_size": 16, "seed": 1})
            yield "jobs watch", [self.succeed("equipoise", "submit", short, *at, "-o", "name").strip(), *at]
            yield "hosts list", at
            yield "hosts cordon", ["localhost", "--reason", "a new disk", *at]
            yield "hosts uncordon", ["localhost", *at]

    def coordinator(self):
        (self.folder / "hosts").write_text("localhost slots=4\n")
        return programs.Coordinator(self.folder / "state", "--hostfile", str(self.folder / "hosts"))

    def wait_until_running(self, job_id, at):
        for _ in range(600):
            if self.read("jobs", "get", job_id, *at)["step"] != "0":
                return
        self.fail("the job has not taken a step")

    def check_other_forms(self, verb, arguments):
        """Of a verb that changes nothing: YAML says the same, and people are shown a table."""
        read = self.succeed("equipoise", *verb.split(), *arguments, "-o", "yaml")
        # Of what stands still.
        if verb in ("checkpoints list", "compare", "data check", "jobs attempts"):
            self.assertEqual(yaml.safe_load(read), self.read(*verb.split(), *arguments), verb)
        self.assertIsInstance(yaml.safe_load(read), dict, verb)
        for form in ("wide", "text"):
            shown = self.succeed("equipoise", *verb.split(), *arguments, "-o", form)
            self.assertTrue(shown.strip(), verb)
            self.assertRaises(json.JSONDecodeError, json.loads, shown)

    def test_every_verb_with_a_result_prints_it_as_json(self):
        known, seen = programs.verbs(), set()
        self.assertGreater(len(known), 40)
        unchanged = re.compile("list|get$|ranks|weights|attempts|events|tree|jobs checkpoints|compare|verify|explain|check$|doctor")
        for verb, arguments in self.commands():
            with self.subTest(verb):
                seen.add(verb)
                self.assertIsInstance(self.read(*verb.split(), *arguments), dict, verb)
                if unchanged.search(verb):
                    self.check_other_forms(verb, arguments)
        for verb, options in known.items():
            has_formats = {"--json", "-o", "--format"} <= set(options)
            self.assertEqual(has_formats, verb not in WITHOUT, verb)
            self.assertEqual(verb in seen, has_formats and verb not in ELSEWHERE,
                             f"{verb}: a command line of it belongs into commands()")
        self.assertLessEqual({*WITHOUT, *ELSEWHERE}, set(known))

    def test_what_is_not_there_is_refused_by_name(self):
        complaint = self.refused("equipoise", "compare", self.folder, "-o", "tabel")
        self.assertIn("-o is \"tabel\", expected one of: text, wide, json, yaml, csv, markdown, latex", complaint)
        complaint = self.refused("equipoise", "jobs", "list", "-o", "jsonpath={.jobs[0].id}")
        self.assertIn("`-o json | jq` picks out of it", complaint)
        complaint = self.refused("equipoise", "compare", self.folder / "none", "--json")
        self.assertTrue(complaint.startswith("equipoise compare: "), complaint)

    def test_a_failure_is_one_line_beside_the_result(self):
        (self.folder / "run/checkpoints/step-1").mkdir(parents=True)
        result = programs.run("equipoise", "checkpoints", "list", self.folder / "run", "--json")
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)
        self.assertIn("fault", json.loads(result.stdout)["checkpoints"][0])

    def test_colours_come_by_force_alone_and_never_against_no_color(self):
        doctor = ("equipoise", "doctor", "--output", self.folder)
        self.assertNotIn("\x1b", programs.run(*doctor).stdout)
        self.assertIn("\x1b[32mOK", programs.run(*doctor, CLICOLOR_FORCE="1").stdout)
        self.assertNotIn("\x1b", programs.run(*doctor, CLICOLOR_FORCE="1", NO_COLOR="1").stdout)
        self.assertNotIn("\x1b", programs.run(*doctor, "--json", CLICOLOR_FORCE="1").stdout)


if __name__ == "__main__":
    unittest.main()
