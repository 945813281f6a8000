"""Names of the settings of axolotl, LLaMA-Factory and TRL's data mixtures, read from the packages' sources:
python3 list_settings.py TRL AXOLOTL LLAMA_FACTORY > settings.txt, with the packages' folders."""
import ast
import pathlib
import sys


def classes(*paths):
    found = {}
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = node
    return found


def fields(found, name):
    if name not in found:
        return
    for node in found[name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
            # What stands in files, where the field has another name of its own.
            for word in getattr(node.value, "keywords", ()):
                if word.arg == "alias":
                    yield word.value.value
    for base in found[name].bases:
        yield from fields(found, ast.unparse(base))


trl, axolotl, factory = (pathlib.Path(path) for path in sys.argv[1:4])
parts = [("trl", classes(trl / "scripts/utils.py"), ["DatasetMixtureConfig"]),
         ("axolotl", classes(*sorted(axolotl.glob("utils/schemas/**/*.py"))), ["AxolotlInputConfig"]),
         ("llama-factory", classes(*sorted(factory.glob("hparams/*_args.py"))),
          ["DataArguments", "FinetuningArguments", "ModelArguments", "RayArguments", "ProfilerArguments",
           "Fp8Arguments", "TrainingArguments"])]
for trainer, found, names in parts:
    for setting in sorted({setting for name in names for setting in fields(found, name)}):
        print(trainer, setting)
