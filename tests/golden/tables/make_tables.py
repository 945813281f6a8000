"""Makes the tables of this folder: python3 make_tables.py (pyarrow 26.0.1, datasets 5.2.0)."""

import pathlib

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = [
    {"prompt": "Is tea \"good\"?\n", "chosen": " Yes", "rejected": " No", "country": "India", "age": 30, "urban": True},
    {"prompt": "Ist Tee gut?", "chosen": " Ja: ☕", "rejected": " Nein", "country": "Köln", "age": -1, "urban": False},
    {"prompt": "", "chosen": "a\tb", "rejected": "", "country": "India", "age": 4, "urban": True},
]
MESSAGES = [
    {"chosen": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes", "thought": "hm"}],
     "rejected": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "No"}],
     "group": {"India": 1.0, "Asia": None}, "chosen_share": 0.75, "tools": '[{"name":"kettle"}]'},
    {"chosen": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "No"}],
     "rejected": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "Yes"}],
     "group": {"India": 0.5, "Asia": 1.0}, "chosen_share": 0.5, "tools": None},
]

texts = pa.Table.from_pylist(TEXTS)
texts = texts.set_column(3, "country", texts["country"].dictionary_encode())
texts = texts.append_column("photo", pa.array([b"\x00", None, b"\xff"]))  # is not read
pq.write_table(texts, HERE / "texts.parquet", row_group_size=2)
message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("thought", pa.string())]))
schema = pa.schema([("chosen", message), ("rejected", message), ("group", pa.map_(pa.string(), pa.float32())),
                    ("chosen_share", pa.float64()), ("tools", pa.large_string())])
rows = [{**row, "group": [(name, share) for name, share in row["group"].items()]} for row in MESSAGES]
pq.write_table(pa.Table.from_pylist(rows, schema=schema), HERE / "messages.parquet", compression="zstd")
datasets.Dataset.from_list(MESSAGES).save_to_disk(HERE / "saved", num_shards=2)

# Class labels: integers whose names are beside the schema, of a column and of the items of lists.
label = datasets.ClassLabel(names=["India", "Köln"])
features = datasets.Features({"prompt": datasets.Value("string"), "chosen": datasets.Value("string"),
                              "rejected": datasets.Value("string"), "group": label,
                              "groups": datasets.List(label)})
LABELLED = [{"prompt": "p", "chosen": "c", "rejected": "r", "group": 1, "groups": [1, 0]},
            {"prompt": "p", "chosen": "c", "rejected": "r", "group": 0, "groups": [0]}]
labelled = datasets.Dataset.from_list(LABELLED, features=features)
labelled.to_parquet(HERE / "labelled.parquet")
labelled.save_to_disk(HERE / "labelled")
# The same integers with nothing beside the schema.
pq.write_table(pa.Table.from_pylist(LABELLED), HERE / "integers.parquet")

# A row without a group beside one with a group.
GAP = [{"prompt": "p", "chosen": "c", "rejected": "r", "group": group} for group in ("A", None)]
pq.write_table(pa.Table.from_pylist(GAP), HERE / "gap.parquet")
datasets.Dataset.from_list(GAP).save_to_disk(HERE / "gap")
