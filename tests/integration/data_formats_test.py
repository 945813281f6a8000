"""The same pairs are read alike from JSONL, Parquet, saved data sets and folders of shards, and trained on as they are."""

import bz2
import gzip
import json
import pathlib
import shutil
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

    def test_integers_booleans_and_class_labels_are_groups(self):
        rows = [{"prompt": "p", "chosen": "c", "rejected": "r", "group": value} for value in (1, 0, 1)]
        for values, names in (([1, 0, 1], "1 0"), ([True, False, True], "true false")):
            given = [{**row, "group": value} for row, value in zip(rows, values)]
            for path in self.all_formats(given):
                for columns in ([], ["--group-columns", "group"]):
                    groups = [json.loads(line)["group"] for line in self.imported(path, *columns).splitlines()]
                    self.assertEqual(groups, [names.split()[0], names.split()[1], names.split()[0]], path)
            for name in ("saved", "splits", "hub"):
                shutil.rmtree(self.folder / name)
        features = datasets.Dataset.from_list(rows).features.copy()
        features["group"] = datasets.ClassLabel(names=["India", "Köln"])
        data = datasets.Dataset.from_list(rows, features=features)
        data.to_parquet(self.folder / "labels.parquet")
        data.save_to_disk(self.folder / "labels")
        for path in (self.folder / "labels.parquet", self.folder / "labels"):
            for columns in ([], ["--group-columns", "group"]):
                groups = [json.loads(line)["group"] for line in self.imported(path, *columns).splitlines()]
                self.assertEqual(groups, ["Köln", "India", "Köln"])

    def test_a_row_without_a_group_is_refused_beside_rows_with_one(self):
        rows = [{"prompt": "p", "chosen": "c", "rejected": "r", "group": group} for group in ("A", "B", None, "C")]
        for path in self.all_formats(rows):
            refusal = self.refused("equipoise", "data", "check", path)
            self.assertIn('field "group" is missing, but not on ', refusal)
        with_groups, without = self.write_jsonl("a.jsonl", rows[:2]), self.write_jsonl("b.jsonl", rows[2:3])
        for files in ([with_groups, without], [without, with_groups]):
            self.assertIn('b.jsonl: field "group" is missing, but', self.refused("equipoise", "data", "check", *files))

    def test_compressed_lines_are_read(self):
        lines = self.write_jsonl("pairs.jsonl", PAIRS)
        wanted = self.imported(lines)
        packed = self.folder / "packed/train.jsonl.gz"
        packed.parent.mkdir()
        packed.write_bytes(gzip.compress(lines.read_bytes()))
        self.assertEqual(self.imported(packed), wanted)
        self.assertEqual(self.imported(self.folder / "packed"), wanted)
        self.assertEqual(self.imported(self.folder / "packed/train"), wanted)
        zstd = self.folder / "pairs.jsonl.zst"
        zstd.write_bytes(pa.compress(lines.read_bytes(), codec="zstd", asbytes=True))
        self.assertEqual(self.imported(zstd), wanted)
        packed.write_bytes(packed.read_bytes()[:-20])
        self.assertIn("train.jsonl.gz: is compressed with gzip and cut short",
                      self.refused("equipoise", "data", "check", packed))

    def test_what_is_not_lines_of_json_is_named(self):
        pair = {"prompt": "p", "chosen": "c", "rejected": "r", "group": "A", "weight": float("nan")}
        for content, message in (
                (json.dumps(pair).encode(), 'x.jsonl:1: the line is not JSON: field "weight" is NaN'),
                (json.dumps([{"prompt": "p"}], indent=1).encode(), "x.jsonl:1: the line is not JSON: a list begins"),
                (json.dumps(PAIRS[:2]).encode(), "x.jsonl:1: the line is a list, expected an object"),
                (json.dumps(PAIRS[0], indent=1).encode(), "x.jsonl:1: the line is not JSON: an object goes on over"),
                (json.dumps(PAIRS[0]).encode("utf-16"), "x.jsonl: is UTF-16, expected UTF-8: iconv"),
                (b"prompt,chosen,rejected\np,c,r\n", "it looks like the header of CSV"),
                (bz2.compress(b"{}"), "x.jsonl: is compressed with bzip2"),
                (repr(PAIRS[0]).encode(), "texts are in single quotes"),
                (b'{"prompt": "\\ud83d", "chosen": "c", "rejected": "r"}', 'field "prompt" holds \\ud83d, half of a')):
            (self.folder / "x.jsonl").write_bytes(content)
            self.assertIn(message, self.refused("equipoise", "data", "check", self.folder / "x.jsonl"))

    def test_fields_that_are_not_used_are_named(self):
        rows = [{**pair, "margin": 1.5, "id": i} for i, pair in enumerate(PAIRS[:3])]
        for path in self.all_formats(rows):
            table = self.succeed("equipoise", "data", "check", path)
            self.assertIn('fields that are not used: "age", "margin" (of reward models: no loss here has it), "id"',
                          table, path)

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

    # A copy that ended between two batches once gave the pairs of the batches that were there.
    def test_an_arrow_stream_that_is_cut_short_is_refused(self):
        table, sink = pa.Table.from_pylist(PAIRS), pa.BufferOutputStream()
        ends = []
        with pa.ipc.new_stream(sink, table.schema) as writer:
            for batch in table.to_batches(max_chunksize=1000):
                writer.write_batch(batch)
                ends.append(sink.tell())
        whole = sink.getvalue().to_pybytes()
        path = self.folder / "pairs.arrow"
        for size in (ends[0], ends[0] + 1000, ends[-1], len(whole) - 1):
            path.write_bytes(whole[:size])
            self.assertIn("pairs.arrow: is cut short", self.refused("equipoise", "data", "check", path))
        path.write_bytes(whole)
        self.assertIn("2500 pairs", self.succeed("equipoise", "data", "check", path))

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
