# Names of others' settings: python3 list_settings.py TRL TRANSFORMERS PEFT > settings.txt, with the packages' folders.
import ast
import sys


def fields(path, cls):
    for node in ast.walk(ast.parse(open(path).read())):
        if isinstance(node, ast.ClassDef) and node.name == cls:
            for s in node.body:
                if isinstance(s, ast.AnnAssign) and not s.target.id.startswith("_"):
                    yield s.target.id


def values(path, cls):
    for node in ast.walk(ast.parse(open(path).read())):
        if isinstance(node, ast.ClassDef) and node.name == cls:
            for s in node.body:
                if isinstance(s, ast.Assign):
                    yield s.value.value


T, H, P = sys.argv[1:4]
for kind, names in [("DPOConfig", fields(f"{T}/trainer/dpo_config.py", "DPOConfig")),
                    ("ModelConfig", fields(f"{T}/trainer/model_config.py", "ModelConfig")),
                    ("ScriptArguments", fields(f"{T}/scripts/utils.py", "ScriptArguments")),
                    ("TrainingArguments", fields(f"{H}/training_args.py", "TrainingArguments")),
                    ("LoraConfig", fields(f"{P}/tuners/lora/config.py", "LoraConfig")),
                    ("OptimizerNames", values(f"{H}/training_args.py", "OptimizerNames")),
                    ("SchedulerType", values(f"{H}/trainer_utils.py", "SchedulerType"))]:
    for n in names:
        print(kind, n)
# Of DPOConfig's documentation.
for n in ("sigmoid hinge ipo exo_pair nca_pair robust bco_pair sppo_hard aot aot_unpaired apo_zero apo_down discopop "
          "sft sigmoid_norm").split():
    print("loss_type", n)
