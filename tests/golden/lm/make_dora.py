"""Makes the DoRA golden data with transformers and PEFT: models/gemma/dora_init, golden/gemma/dora_gradients.safetensors and
golden/gemma/trajectories/dora_dpo_ref_base.*. Python packages as for the integration tests; run from any folder:

    PYTHONPATH=.deps/python-tests:.deps/python:.deps/python-peft python3 tests/golden/lm/make_dora.py
"""

import json
import pathlib

import peft
import safetensors.torch
import torch
import transformers

LM = pathlib.Path(__file__).resolve().parent
POLICY = LM / "models/gemma/policy"
INIT = LM / "models/gemma/dora_init"
GOLDEN = LM / "golden/gemma"
BETA, RATE, BATCH, WARMUP, STEPS = 0.1, 1e-3, 8, 5, 20


def base_model():
    return transformers.AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32, attn_implementation="eager")


def make_start():
    """Neither B is 0 nor a magnitude the norm of what it multiplies."""
    torch.manual_seed(11)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, use_dora=True, target_modules=[
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    model = peft.get_peft_model(base_model(), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.02 * torch.randn_like(parameter))
            if "lora_magnitude_vector" in name:
                parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    model.peft_config["default"].base_model_name_or_path = "models/gemma/policy"
    model.save_pretrained(INIT)
    (INIT / "README.md").unlink(missing_ok=True)
    return model


def log_prob(model, prompt, answer):
    ids = torch.tensor([prompt + answer])
    logits = model(input_ids=ids).logits[0].log_softmax(-1)
    rows = torch.arange(len(prompt) - 1, len(prompt) + len(answer) - 1)
    return logits[rows, torch.tensor(answer)].sum()


def both(model, pair):
    return torch.stack([log_prob(model, pair["prompt_ids"], pair[kind]) for kind in ("chosen_ids", "rejected_ids")])


def mean_loss(model, reference, pairs):
    losses = []
    for pair in pairs:
        with torch.no_grad():
            fixed = both(reference, pair)
        h = both(model, pair) - fixed
        losses.append(-torch.nn.functional.logsigmoid(BETA * (h[0] - h[1])))
    return torch.stack(losses).mean()


def file_name(name):
    return name.replace(".default.weight", "" if "magnitude" in name else ".weight")


def trained(model):
    return {file_name(name): p for name, p in model.named_parameters() if p.requires_grad}


def norm(tensors):
    return sum(float(t.detach().double().square().sum()) for t in tensors) ** 0.5


def train(model, reference):
    pairs = json.loads((GOLDEN / "token_ids_untruncated.json").read_text())["train"]
    batches = json.loads((GOLDEN / "trajectories/lora_dpo_ref_base.json").read_text())["steps"]
    parameters = trained(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    steps = []
    for step in range(STEPS):
        rate = RATE * min(1, step / WARMUP)
        indices = batches[step]["indices"]
        loss = mean_loss(model, reference, [pairs[i] for i in indices])
        optimizer.zero_grad()
        loss.backward()
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        steps.append({"step": step, "indices": indices, "lr": rate, "loss": float(loss.detach()), "grad_norm": grad_norm,
                      "param_norm": norm(parameters.values())})
    spec = {"beta": BETA, "optimiser": "AdamW lr 1e-3 betas 0.9/0.999 eps 1e-8", "weight_decay": 0.01, "max_grad_norm": 1.0,
            "schedule": "lr(step) = 1e-3 * min(1, step/5), step counted from 0", "batch": BATCH,
            "adapter": "models/gemma/dora_init", "reference": "models/gemma/policy without adapter",
            "peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    target = GOLDEN / "trajectories/dora_dpo_ref_base.json"
    target.write_text(json.dumps({"spec": spec, "steps": steps}) + "\n")
    safetensors.torch.save_file({name: p.detach().contiguous() for name, p in parameters.items()},
                                target.with_suffix(".final.safetensors"))


def main():
    torch.set_num_threads(1)
    model, reference = make_start(), base_model().eval()
    pairs = json.loads((GOLDEN / "pairs.json").read_text())["pairs"]
    mean_loss(model, reference, pairs).backward()
    safetensors.torch.save_file({name: p.grad.contiguous() for name, p in trained(model).items()},
                                GOLDEN / "dora_gradients.safetensors")
    model.zero_grad()
    train(model, reference)


if __name__ == "__main__":
    main()
