"""The same pairs are read alike from JSONL, Parquet, saved data sets and folders of shards, and trained on as they are."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import datasets  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

datasets.disable_progress_bars()

COUNTRIES = ["India", "Kenya", "Peru"]
PAIRS = [{"prompt": f"Is \"{i}\" more than 7?\n", "chosen": " Ünïcode 🙂" if i % 2 else " yes", "rejected": " no" * (i % 3),
          "group": COUNTRIES[i % 3], "age": i % 4, "chosen_share": 1 if i % 5 else 0.75} for i in range(2500)]


def message(role, content):
    return {"role": role, "content": content}


CHATS = [{"chosen": [message("user", f"{i}?"), message("assistant", "a" * (i % 9))],
          "rejected": [message("user", f"{i}?"), message("assistant", "b")],
          "group": {name: 1 / (1 + place) for place, name in enumerate(COUNTRIES[:1 + i % 3])}} for i in range(300)]


class DataFormats(programs.ProgramTest):

    def write_jsonl(self, name, rows):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows))
        return path

    def imported(self, *arguments):
        self.succeed("equipoise", "data", "import", "preferences", *arguments, "--output", self.folder / "out.jsonl")
        return (self.folder / "out.jsonl").read_text()

    def all_formats(self, rows):
        """Paths that should all give `rows`."""
        yield self.write_jsonl("rows.jsonl", rows)
        table = pa.Table.from_pylist(rows)
        for codec in ["none", "snappy", "gzip", "zstd", "lz4"]:
            path = self.folder / f"{codec}.parquet"
            pq.write_table(table, path, compression=codec, row_group_size=700)
            yield path
        pq.write_table(table, self.folder / "plain.parquet", use_dictionary=False, data_page_version="2.0",
                       column_encoding={"age": "DELTA_BINARY_PACKED"} if "age" in rows[0] else None)
        yield self.folder / "plain.parquet"
        data = datasets.Dataset.from_list(rows)
        data.save_to_disk(self.folder / "saved", num_shards=3)
        yield self.folder / "saved"
        datasets.DatasetDict({"train": data, "test": data.select(range(3))}).save_to_disk(self.folder / "splits")
        yield self.folder / "splits/train"
        (self.folder / "hub/data").mkdir(parents=True)
        for shard in range(2):
            data.shard(2, shard, contiguous=True).to_parquet(self.folder / f"hub/data/train-0000{shard}-of-00002.parquet")
        yield self.folder / "hub"
        data.select(range(3)).to_parquet(self.folder / "hub/data/test-00000-of-00001.parquet")
        yield self.folder / "hub/train"

    def test_every_format_gives_the_same_pairs(self):
        wanted = None
        for path in self.all_formats(PAIRS):
            found = self.imported(path)
            wanted = wanted or found
            self.assertEqual(found, wanted, path)
        self.assertEqual(len(wanted.splitlines()), len(PAIRS))
        line = json.loads(wanted.splitlines()[5])
        self.assertEqual(line, {k: v for k, v in PAIRS[5].items() if k != "age"})

    def test_conversations_and_memberships_too(self):
        wanted = None
        for path in self.all_formats(CHATS):
            found = self.imported(path)
            wanted = wanted or found
            self.assertEqual(found, wanted, path)
        self.assertEqual(json.loads(wanted.splitlines()[2])["group"], CHATS[2]["group"])

    def test_columns_are_crossed_and_counted(self):
        pq.write_table(pa.Table.from_pylist(PAIRS), self.folder / "a.parquet")
        table = self.succeed("equipoise", "data", "check", self.folder / "a.parquet", "--group-columns", "group,age")
        self.assertRegex(table, r"India & 0 +209\b")
        self.assertIn("2500 pairs: ", table)
        refusal = self.refused("equipoise", "data", "check", self.folder / "a.parquet", "--group-columns", "group,aeg")
        self.assertIn('a.parquet: has no column "aeg", it has "prompt", "chosen"', refusal)
        refusal = self.refused("equipoise", "data", "check", self.folder / "a.parquet", "--group", "India",
                               "--group-columns", "age")
        self.assertIn("expected one or the other", refusal)

    def test_the_row_of_a_fault_is_named_and_nothing_is_written(self):
        rows = [dict(row) for row in PAIRS]
        rows[2041]["chosen"] = None
        pq.write_table(pa.Table.from_pylist(rows), self.folder / "a.parquet")
        refusal = self.refused("equipoise", "data", "import", "preferences", self.folder / "a.parquet", "--output",
                               self.folder / "out.jsonl")
        self.assertIn('a.parquet: row 2042: field "chosen" is missing, expected text', refusal)
        rows[2041]["chosen"] = "x" * (2 << 20)
        datasets.Dataset.from_list(rows).save_to_disk(self.folder / "saved")
        refusal = self.refused("equipoise", "data", "check", self.folder / "saved")
        self.assertIn("data-00000-of-00001.arrow: row 2042 is longer than 1048576 bytes as JSON", refusal)
        self.assertEqual([path.name for path in self.folder.iterdir() if "out" in path.name], [])

    def test_splits_are_not_mixed(self):
        data = datasets.Dataset.from_list(PAIRS[:10])
        datasets.DatasetDict({"train": data, "test": data}).save_to_disk(self.folder / "splits")
        refusal = self.refused("equipoise", "data", "check", self.folder / "splits")
        self.assertIn(f"expected one of them: {self.folder}/splits/test, {self.folder}/splits/train", refusal)

    def peak_memory(self, *arguments):
        """Exit code and peak memory in MiB of equipoise, which a small program starts: a child begins with its parent's."""
        code = ("import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True); "
                "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)")
        done = programs.run(sys.executable, "-S", "-c", code, programs.BIN / "equipoise", *arguments)
        return [int(number) for number in done.stdout.split()]

    # What a page of a hundred bytes says it holds is not what a computer has.
    def test_a_bomb_is_refused(self):
        zeros = pa.table({"chosen": ["0" * (100 << 20)] * 11, "prompt": ["p"] * 11, "rejected": ["r"] * 11})
        pq.write_table(zeros, self.folder / "bomb.parquet", compression="zstd", use_dictionary=False,
                       data_page_size=1 << 32, write_batch_size=11, write_statistics=False)
        self.assertLess((self.folder / "bomb.parquet").stat().st_size, 1 << 20)
        refusal = self.refused("equipoise", "data", "check", self.folder / "bomb.parquet")
        self.assertRegex(refusal, "bomb.parquet: (takes more than 1024 MiB of memory|row 1 is longer)")
        code, peak = self.peak_memory("data", "check", self.folder / "bomb.parquet")
        self.assertEqual(code, 2)
        self.assertLess(peak, 1200)  # MiB

    def test_memory_does_not_grow_with_the_file(self):
        lines = "".join(json.dumps({k: v for k, v in pair.items() if v is not None}) + "\n" for pair in PAIRS)
        with (self.folder / "large.jsonl").open("w") as file:
            for _ in range(400):  # 120 MB
                file.write(lines)
        with pq.ParquetWriter(self.folder / "large.parquet", pa.Table.from_pylist(PAIRS).schema) as writer:
            for _ in range(40):
                writer.write_table(pa.Table.from_pylist(PAIRS * 10))
        for name in ["large.jsonl", "large.parquet"]:
            code, peak = self.peak_memory("data", "import", "preferences", self.folder / name, "--output",
                                          self.folder / "out.jsonl")
            self.assertEqual(code, 0)
            self.assertEqual((self.folder / "out.jsonl").read_bytes().count(b"\n"), 1000000)
            self.assertLess(peak, 100)  # MiB

    def test_a_job_reads_them_as_they_are(self):
        self.small_model()
        runs = {}
        rows = programs.read_lines(self.folder / "data/train.jsonl")
        pq.write_table(pa.Table.from_pylist(rows), self.folder / "data/train.parquet")
        datasets.Dataset.from_list(rows).save_to_disk(self.folder / "data/saved", num_shards=2)
        for name, path in {"jsonl": "data/train.jsonl", "parquet": "data/train.parquet", "saved": "data/saved"}.items():
            self.succeed("equipoise", "train", self.write_job(name, data={"train": path}), "--np", "2", "--quiet")
            runs[name] = [line["loss"] for line in programs.read_lines(self.folder / name / "metrics.jsonl")]
        self.assertEqual(runs["parquet"], runs["jsonl"])
        self.assertEqual(runs["saved"], runs["jsonl"])
        self.assertIn("data.train: ", self.refused("equipoise", "train", self.write_job("mixed", data={"train": "data"})))
        # Another shard is another data set, though the first is the same.
        shard = self.folder / "data/saved/data-00001-of-00002.arrow"
        shard.write_bytes(self.write_stream(rows[:40]))
        self.succeed("equipoise", "train", self.write_job("changed", data={"train": "data/saved"}), "--quiet")
        report = json.loads((self.folder / "changed/data.json").read_text())
        self.assertEqual(report["train"]["pairs"], (len(rows) + 1) // 2 + 40)
        self.assertFalse(report["train"]["from_cache"])

    def write_stream(self, rows):
        table = pa.Table.from_pylist(rows)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue().to_pybytes()


if __name__ == "__main__":
    unittest.main()
