"""Every supported family trains as transformers' model of it does: log-probs, losses and every gradient of one batch,
then 20 steps of DPO and of GR-DPO, against a training loop in PyTorch over padded batches that is written here alone."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tiny_models import CASES, GOLDEN, make_model, make_reference  # noqa: E402

# The matrices are too small to share.
torch.set_num_threads(1)

FAMILIES = ["gemma", "gemma2", "gemma3_text", "llama_llama3_sharded", "mistral", "phi3", "qwen2_bfloat16", "qwen3"]
BETA, STEP_SIZE, LEARNING_RATE, WARMUP, DECAY, STEPS, BATCH = 0.1, 0.1, 1e-3, 5, 0.01, 20, 8

PAIRS = programs.read_lines(GOLDEN / "data/train.jsonl")
# Of TRL: for this tokenizer, without truncation.
IDS = json.loads((GOLDEN / "golden/llama/token_ids_untruncated.json").read_text())["train"]
GROUPS = list(dict.fromkeys(pair["group"] for pair in PAIRS))


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def log_probs(model, indices):
    """[B, 2]: of chosen and rejected answers, each with its own copy of the prompt, padded on the right."""
    rows = [(IDS[i]["prompt_ids"], IDS[i][answer]) for i in indices for answer in ("chosen_ids", "rejected_ids")]
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    is_answer = torch.zeros(len(rows), longest, dtype=torch.bool)
    is_token = torch.zeros(len(rows), longest, dtype=torch.int64)
    for row, (prompt, answer) in enumerate(rows):
        ids[row, :len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        is_token[row, :len(prompt) + len(answer)] = 1
        is_answer[row, len(prompt):len(prompt) + len(answer)] = True
    logits = model(input_ids=ids, attention_mask=is_token).logits[:, :-1]
    of_tokens = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    return (of_tokens * is_answer[:, 1:]).sum(-1).view(-1, 2)


def losses(policy_B2, reference_B2):
    h = (policy_B2[:, 0] - policy_B2[:, 1]) - (reference_B2[:, 0] - reference_B2[:, 1])
    return -torch.nn.functional.logsigmoid(BETA * h)


def train(policy, reference, is_robust):
    """The steps' numbers; `policy` is trained."""
    optimizer = torch.optim.AdamW(policy.parameters(), lr=LEARNING_RATE, weight_decay=DECAY)
    alpha = torch.full((len(GROUPS),), 1 / len(GROUPS), dtype=torch.float64)
    steps = []
    for step in range(STEPS):
        indices = range(step * BATCH, (step + 1) * BATCH)
        with torch.no_grad():
            reference_B2 = log_probs(reference, indices)
        loss_B = losses(log_probs(policy, indices), reference_B2)
        present = {name: [b for b, i in enumerate(indices) if PAIRS[i]["group"] == name] for name in GROUPS}
        mean = {name: loss_B[members].mean() for name, members in present.items() if members}
        loss = loss_B.mean()
        if is_robust:
            for g, name in enumerate(GROUPS):
                if name in mean:
                    alpha[g] *= torch.exp(STEP_SIZE * mean[name].detach().double())
            alpha /= alpha.sum()
            loss = sum(alpha[GROUPS.index(name)] * mean[name] for name in mean)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, step / WARMUP)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item(), "alpha": dict(zip(GROUPS, alpha.tolist())),
                      "group_loss": {name: value.item() for name, value in mean.items()}})
    return steps


class FamilyTraining(programs.ProgramTest):

    def make_models(self, family):
        make_model(self.folder / "model", *CASES[family][:2], **CASES[family][2])
        make_reference(self.folder / "model", self.folder / "reference")

    def assert_near(self, ours, theirs, relative, what):
        scale = theirs.abs().max().item()
        self.assertLessEqual((ours - theirs).abs().max().item(), relative * scale, what)

    def check_batch(self):
        indices = range(2 * BATCH)
        (self.folder / "pairs.jsonl").write_text("".join(json.dumps(PAIRS[i]) + "\n" for i in indices))
        self.succeed("equipoise_print_gradients", self.folder / "model", self.folder / "reference",
                     self.folder / "pairs.jsonl", self.folder / "gradients")
        ours = safetensors.torch.load_file(self.folder / "gradients")
        policy = load(self.folder / "model")
        policy_B2 = log_probs(policy, indices)
        with torch.no_grad():
            reference_B2 = log_probs(load(self.folder / "reference"), indices)
        loss_B = losses(policy_B2, reference_B2)
        loss_B.mean().backward()
        self.assert_near(ours["policy_logp"], policy_B2.detach(), 1e-5, "policy's log-probs")
        self.assert_near(ours["reference_logp"], reference_B2, 1e-5, "reference's log-probs")
        self.assert_near(ours["loss"], loss_B.detach(), 1e-4, "losses")
        gradients = {name: parameter.grad for name, parameter in policy.named_parameters()}
        self.assertEqual({name.removeprefix("gradient/") for name in ours if name.startswith("gradient/")},
                         set(gradients))
        for name, gradient in gradients.items():
            self.assertGreater(gradient.abs().max().item(), 0, name)
            self.assert_near(ours[f"gradient/{name}"], gradient, 1e-4, f"gradient of {name}")

    def check_trajectory(self, name, is_robust):
        policy = load(self.folder / "model")
        expected = train(policy, load(self.folder / "reference"), is_robust)
        robust = {"mode": "none"}
        if is_robust:
            robust = {"mode": "group_robust", "estimator": "batch_mean", "step_size": STEP_SIZE}
        self.succeed("equipoise", "train", self.write_job(
            name, robust=robust, model={"path": "model", "reference": "reference"},
            data={"train": str(GOLDEN / "data/train.jsonl"), "shuffle": False},
            loss={"type": "dpo", "beta": BETA}, logging={"every_steps": 1},
            optimizer={"learning_rate": LEARNING_RATE, "weight_decay": DECAY, "max_grad_norm": 1.0,
                       "schedule": {"warmup_steps": WARMUP}},
            training={"max_steps": STEPS, "global_batch_size": BATCH}), "--np", "2", "--quiet")
        lines = [line for line in programs.read_lines(self.folder / name / "metrics.jsonl") if "grad_norm" in line]
        self.assertEqual(len(lines), STEPS)
        worst = 0.0
        for line, theirs in zip(lines, expected):
            what = f"{name}, step {line['step']}"
            pairs = [(line["loss"], theirs["loss"]), (line["grad_norm"], theirs["grad_norm"])]
            pairs += [(line["group_loss"][group], loss) for group, loss in theirs["group_loss"].items()]
            if is_robust:
                pairs += [(line["group_weight"][group], weight) for group, weight in theirs["alpha"].items()]
            for ours, number in pairs:
                worst = max(worst, abs(ours - number) / max(abs(number), 1e-3))
            self.assertLess(worst, 1e-4, what)
        trained = load(self.folder / name / "final")
        for (parameter, ours), theirs in zip(trained.named_parameters(), policy.parameters()):
            # AdamW turns a gradient that is nearly 0 into a whole step, whose sign rounding decides.
            distance = (ours - theirs).norm().item() / theirs.norm().item()
            self.assertLess(distance, 1e-4, f"{name}: {parameter}")
        print(f"{name}: largest relative difference {worst:.1e} over {STEPS} steps")

    def check(self, family):
        self.make_models(family)
        self.check_batch()
        self.check_trajectory("dpo", is_robust=False)
        self.check_trajectory("gr-dpo", is_robust=True)


for case in FAMILIES:
    setattr(FamilyTraining, f"test_{case}_trains_as_in_transformers", lambda self, case=case: self.check(case))

if __name__ == "__main__":
    unittest.main()
