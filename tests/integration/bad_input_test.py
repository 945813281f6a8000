"""Bad input is refused with one line that names file, line and field, exit code 2, and nothing written."""

import json
import pathlib
import shutil
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402


class BadInput(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()

    def refused_training(self, *arguments):
        message = self.refused("equipoise", "train", *arguments)
        self.assertFalse((self.folder / "run").exists(), "a refused job has written its output")
        return message

    def break_line(self, number, change):
        """Puts a changed copy of the training data in its place."""
        path = self.folder / "data/train.jsonl"
        lines = path.read_text().splitlines()
        lines[number - 1] = change(json.loads(lines[number - 1]))
        path.write_text("\n".join(lines) + "\n")

    def test_malformed_jsonl_names_file_and_line(self):
        self.break_line(7, lambda pair: json.dumps(pair)[:-5])
        message = self.refused_training(self.write_job("run"), "--np", "2")
        self.assertIn("data/train.jsonl:7:", message)

    def test_empty_group_name_names_file_line_and_field(self):
        self.break_line(3, lambda pair: json.dumps({**pair, "group": ""}))
        message = self.refused_training(self.write_job("run"))
        self.assertIn("data/train.jsonl:3:", message)
        self.assertIn('"group"', message)

    def test_missing_column_names_file_line_and_field(self):
        self.break_line(5, lambda pair: json.dumps({k: v for k, v in pair.items() if k != "rejected"}))
        message = self.refused_training(self.write_job("run"))
        self.assertIn("data/train.jsonl:5:", message)
        self.assertIn('"rejected"', message)

    def test_missing_column_in_a_survey(self):
        (self.folder / "bad.jsonl").write_text('{"key": "a", "question": "Why?", "options": ["x", "y"], "attribute": "a", "group": "g"}\n')
        message = self.refused("equipoise", "data", "import", "opinionqa", self.folder / "bad.jsonl", "--output",
                               self.folder / "imported")
        self.assertIn("bad.jsonl:1:", message)
        self.assertIn("distribution", message)
        self.assertFalse((self.folder / "imported").exists())

    def test_unknown_key_names_the_line_and_the_nearest_key(self):
        path = self.folder / "run.yaml"
        path.write_text("name: run\nmodel: {path: model}\ndata: {train: data/train.jsonl}\n"
                        "optimizer:\n  learning_rat: 0.1\noutput: run\n")
        message = self.refused_training(path)
        self.assertIn("run.yaml:5:", message)
        self.assertIn("learning_rat", message)
        self.assertIn("learning_rate", message)

    def test_value_out_of_range_names_the_field(self):
        message = self.refused_training(self.write_job("run", loss={"type": "dpo", "beta": -1}))
        self.assertIn("loss.beta", message)
        self.assertIn("-1", message)

    def test_model_folder_without_a_tensor_names_it(self):
        tensors = (self.folder / "model/model.safetensors").read_bytes()
        header_size = int.from_bytes(tensors[:8], "little")
        header = json.loads(tensors[8:8 + header_size])
        # The last tensor of the file goes, with its bytes, so that the file itself stays sound.
        name = max((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"][1])
        size = header.pop(name)["data_offsets"]
        new_header = json.dumps(header).encode()
        body = tensors[8 + header_size:][:size[0]]
        (self.folder / "model/model.safetensors").write_bytes(len(new_header).to_bytes(8, "little") + new_header + body)
        message = self.refused_training(self.write_job("run"), "--np", "2")
        self.assertIn(name, message)
        self.assertIn("model", message)

    def test_missing_model_folder(self):
        shutil.rmtree(self.folder / "model")
        self.assertIn(str(self.folder / "model"), self.refused_training(self.write_job("run")))

    def test_output_that_holds_a_run_is_kept(self):
        job = self.write_job("kept")
        self.succeed("equipoise", "train", job, "--quiet")
        before = (self.folder / "kept/metrics.jsonl").read_bytes()
        self.assertIn("kept", self.refused("equipoise", "train", job))
        self.assertEqual((self.folder / "kept/metrics.jsonl").read_bytes(), before)
        self.succeed("equipoise", "train", job, "--quiet", "--overwrite")

    def finished_run(self):
        job = self.write_job("kept")
        self.succeed("equipoise", "train", job, "--quiet")
        return {path: path.read_bytes() for path in (self.folder / "kept").rglob("*") if path.is_file()}

    def check_kept(self, files):
        self.assertEqual({path: path.read_bytes() for path in (self.folder / "kept").rglob("*") if path.is_file()}, files)

    def test_output_never_replaces_the_model_it_starts_from(self):
        files = self.finished_run()
        job = self.write_job("again", model={"path": "kept/final"}, output="kept")
        message = self.refused("equipoise", "train", job, "--overwrite")
        self.assertIn("model.path", message)
        self.check_kept(files)

    def test_output_never_replaces_the_job_file(self):
        path = self.write_job("job", output=".").rename(self.folder / "job.yaml")
        before = path.read_bytes()
        self.assertIn("job.yaml", self.refused("equipoise", "train", path, "--overwrite"))
        self.assertEqual(path.read_bytes(), before)

    def test_bad_reference_leaves_the_run_before_untouched(self):
        files = self.finished_run()
        shutil.copytree(self.folder / "model", self.folder / "reference")
        config = json.loads((self.folder / "reference/config.json").read_text())
        config["num_hidden_layers"] += 1
        (self.folder / "reference/config.json").write_text(json.dumps(config))
        job = self.write_job("again", model={"path": "model", "reference": "reference"}, output="kept")
        message = self.refused("equipoise", "train", job, "--np", "2", "--overwrite")
        self.assertIn("reference", message)
        self.check_kept(files)

    def test_weights_that_are_not_numbers_are_refused(self):
        path = self.folder / "model/model.safetensors"
        data = bytearray(path.read_bytes())
        data[-4:] = b"\xff\xff\xff\x7f"  # the last weight: NaN
        path.write_bytes(data)
        self.assertIn("not finite", self.refused_training(self.write_job("run"), "--np", "2"))

    def test_config_that_is_too_deep_or_too_large_a_number(self):
        path = self.folder / "model/config.json"
        good = path.read_text().rstrip().rstrip("}")
        for value in ("[" * 200000 + "]" * 200000, "1e999"):
            path.write_text(f'{good}, "rms_norm_eps": {value}}}')
            self.assertIn("model/config.json", self.refused_training(self.write_job("run")))

    def change_tokenizer(self, part, value):
        path = self.folder / "model/tokenizer.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), part: value}))

    def test_tokenizer_that_makes_gigabytes_of_a_text(self):
        # Four Es of line 4 would become 4e12.
        self.break_line(4, lambda pair: json.dumps({**pair, "prompt": pair["prompt"] + " \u00c9\u00c9\u00c9\u00c9"}))
        tenfold = {"type": "Replace", "pattern": {"String": "\u00c9"}, "content": "\u00c9" * 10}
        self.change_tokenizer("normalizer", {"type": "Sequence", "normalizers": [tenfold] * 12})
        message = self.refused_training(self.write_job("run"), "--np", "2")
        self.assertIn("data/train.jsonl:4: ", message)
        self.assertRegex(message, 'model/tokenizer.json: its Replace of "\u00c9" makes [0-9]+ bytes of a text of [0-9]+, '
                                  'expected at most')

    def test_tokenizer_that_searches_for_ever(self):
        self.break_line(9, lambda pair: json.dumps({**pair, "chosen": "z" * 200}))
        split = {"type": "Split", "pattern": {"Regex": r"(?:z|zz)+(?!z|\z)"}, "behavior": "Isolated", "invert": False}
        self.change_tokenizer("pre_tokenizer", split)
        message = self.refused_training(self.write_job("run"))
        self.assertIn("data/train.jsonl:9: ", message)
        self.assertIn("model/tokenizer.json: its Split of ", message)
        self.assertIn("takes too much work: one search may take 16777216 steps back", message)

    def test_tokenizer_that_repeats_a_text_until_memory_ends(self):
        whole = {"Sequence": {"id": "A", "type_id": 0}}
        self.break_line(2, lambda pair: json.dumps({**pair, "prompt": "Q x " * 5000}))
        processor = json.loads((self.folder / "model/tokenizer.json").read_text())["post_processor"]
        self.change_tokenizer("post_processor", {**processor, "single": [whole] * 5000})
        message = self.refused_training(self.write_job("run"))
        self.assertIn("data/train.jsonl:2: ", message)
        self.assertRegex(message, "model/tokenizer.json: its post_processor takes more than 5[0-9]{2} MiB of memory")

    def test_aliases_of_a_job_file_multiply_nothing(self):
        rows = "&row [" + ", ".join("0" * 100000) + "]" + ", *row" * 100000
        path = self.folder / "run.yaml"
        path.write_text("name: run\npolicy: {log_linear: {reward: [" + rows + "]}}\noutput: run\n")
        message = self.refused_training(path)
        self.assertIn("run.yaml:2: policy.log_linear.reward[10] has more values than the whole job may have", message)

    def test_output_that_cannot_be_made(self):
        (self.folder / "file").write_text("not a folder")
        message = self.refused("equipoise", "train", self.write_job("run", output="file/run"))
        self.assertIn("file", message)
        self.assertEqual((self.folder / "file").read_text(), "not a folder")

    def test_coordinator_that_is_not_there_names_address_and_time(self):
        # A port that was free a moment ago and that nobody listens on.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % free.getsockname()[1]
            for command in (("equipoise", "jobs", "list", "--timeout", "1"),
                            ("equipoise", "submit", self.write_job("run"), "--timeout", "1"),
                            ("equipoise-worker", "--job", "run-00000000", "--wait", "1")):
                message = self.refused(*command, "--coordinator", address)
                self.assertIn(address, message)
                self.assertRegex(message, r"\b1(\.\d+)? s\b")

    def test_a_worker_names_itself_and_the_option_that_is_missing(self):
        self.assertEqual(self.refused("equipoise-worker", "--job", "x").strip(),
                         "equipoise-worker: --coordinator is required; see equipoise-worker --help")

    def test_second_coordinator_on_a_state_folder(self):
        with programs.Coordinator(self.folder / "state") as first:
            message = self.refused("equipoise-coordinator", "--state", self.folder / "state", "--listen", "127.0.0.1:0",
                                   "--metrics-listen", "127.0.0.1:0")
            self.assertIn(str(self.folder / "state"), message)
            self.assertIn(str(first.process.pid), message)
            self.succeed("equipoise", "jobs", "list", "--coordinator", first.address)


if __name__ == "__main__":
    unittest.main()
