// trl_table() and transformers_settings() of trainer_settings.h. Every name of DPOConfig, ModelConfig, ScriptArguments,
// DatasetMixtureConfig (TRL 1.16) and TrainingArguments (transformers 5.24), and of older versions what configurations
// still have.
#include <array>

#include "client/convert/setting_notes.h"
#include "client/convert/trainer_settings.h"

namespace equipoise {
namespace {

using enum SettingRule;

constexpr std::string_view kDefaults = R"(
learning_rate: 1.0e-6
num_train_epochs: 3
per_device_train_batch_size: 8
gradient_accumulation_steps: 1
lr_scheduler_type: linear
logging_steps: 10
save_strategy: steps
save_steps: 500
eval_strategy: 'no'
gradient_checkpointing: true
disable_dropout: true
seed: 42
beta: 0.1
loss_type: [sigmoid]
max_length: 1024
truncation_mode: keep_start
dtype: float32
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
output_dir: trainer_output
dataset_train_split: train
dataset_test_split: test
)";

constexpr std::array kDifferences = {
    std::string_view(
        "the same seed gives another order of the pairs; train_sampling_strategy: sequential takes the file's order in "
        "both"),
    kMeanOverPairs,
    std::string_view("there is no padding, so padding side and padding token have no meaning"),
};

constexpr std::string_view kOneBatch =
    "all three together: batch per device times accumulation times --workers (devices)";
constexpr std::string_view kLora = "with use_peft: true only";
constexpr std::string_view kAlwaysPrecomputed =
    "the reference's log-probabilities are always computed once, and cached";
constexpr std::string_view kNoCode = "no code of a model's folder is run";
constexpr std::string_view kDevices = "ranks are launch.workers, joined by MPI or NCCL";
constexpr std::string_view kReference = "the reference stays as it is";

constexpr std::array kTrl = {
    // DPOConfig.
    TrainerSetting{"beta", kCopied, "loss.beta", "", ""},
    TrainerSetting{"loss_type", kComputed, "loss.type", "",
                   "sigmoid is dpo; hinge, robust and sft by the same names; ipo and sigmoid_norm come with "
                   "loss.length_normalized: true; [sigmoid, sft] is dpo with loss.sft_weight; others are refused"},
    TrainerSetting{"loss_weights", kComputed, "loss.sft_weight", "",
                   "1 and the weight of sft, which here is per token of each answer, not of the batch"},
    TrainerSetting{"label_smoothing", kComputed, "loss.label_smoothing", "",
                   "with robust; TRL's other losses ignore it, and so it is left out"},
    TrainerSetting{"max_length", kCopied, "data.max_length", "", "null is refused: there is always one"},
    TrainerSetting{"truncation_mode", kCopied, "data.truncation", "keep_start=keep_start keep_end=keep_end drop=drop",
                   ""},
    TrainerSetting{"disable_dropout", kComputed, "model.lora.dropout", "",
                   "true also switches the adapter's dropout off, in TRL as here; the model itself never drops"},
    TrainerSetting{"precompute_ref_log_probs precompute_ref_batch_size", kIgnored, "", "", kAlwaysPrecomputed},
    TrainerSetting{"dataset_num_proc", kIgnored, "", "", "files are tokenised on all cores"},
    TrainerSetting{"padding_free pad_to_multiple_of pad_token", kIgnored, "", "",
                   "batches are packed without padding, always"},
    TrainerSetting{"activation_offloading", kIgnored, "", "",
                   "activations stay on the device; training.gradient_checkpointing saves memory"},
    TrainerSetting{"trust_remote_code", kIgnored, "", "", kNoCode},
    TrainerSetting{"model_init_kwargs ref_model_init_kwargs", kRefused, "", "{}",
                   "say dtype by its own key; there are no other arguments"},
    TrainerSetting{"router_aux_loss_coef", kRefused, "", "0 0.0", "there are no mixtures of experts"},
    TrainerSetting{"sync_ref_model", kRefused, "", "false", kReference},
    TrainerSetting{"ref_model_mixup_alpha ref_model_sync_steps", kIgnored, "", "", "without sync_ref_model"},
    TrainerSetting{"use_weighting", kRefused, "", "false", kNotImplemented},
    TrainerSetting{"ld_alpha", kRefused, "", "1 1.0", kNotImplemented},
    TrainerSetting{"discopop_tau f_alpha_divergence_coef", kIgnored, "", "",
                   "of losses and divergences that are refused"},
    TrainerSetting{"f_divergence_type", kRefused, "", "reverse_kl", "the divergence is the reverse KL"},
    // Of older versions.
    TrainerSetting{"max_prompt_length", kCopied, "data.max_prompt_length", "", "of TRL before 0.29"},
    TrainerSetting{"max_completion_length", kRefused, "", "", "data.max_length bounds prompt and answer together"},
    TrainerSetting{"rpo_alpha", kCopied, "loss.sft_weight", "", "of TRL before 0.29"},
    TrainerSetting{"reference_free", kCopied, "loss.reference_free", "true=true false=false", "of TRL before 0.29"},
    TrainerSetting{"generate_during_eval", kRefused, "", "false", kNothingGenerated},
    // ModelConfig.
    TrainerSetting{"model_name_or_path", kComputed, "model.path", "",
                   "a folder; a name of the Hub is downloaded first: hf download NAME --local-dir NAME; --model names "
                   "another folder"},
    TrainerSetting{"model_revision", kIgnored, "", "", "hf download --revision says which one the folder has"},
    TrainerSetting{"dtype torch_dtype", kComputed, "model.dtype", "",
                   "float32 or bfloat16, together with bf16; auto and float16 are refused"},
    TrainerSetting{"attn_implementation", kIgnored, "", "", "there is one implementation, chosen by the device"},
    TrainerSetting{"use_peft", kComputed, "model.lora", "", "true writes the section"},
    TrainerSetting{"lora_r", kComputed, "model.lora.r", "", kLora},
    TrainerSetting{"lora_alpha", kComputed, "model.lora.alpha", "", kLora},
    TrainerSetting{"lora_dropout", kComputed, "model.lora.dropout", "", "with disable_dropout: false only"},
    TrainerSetting{"lora_target_modules", kComputed, "model.lora.target_modules", "",
                   "absent: q_proj and v_proj, which is PEFT's choice for most families"},
    TrainerSetting{"use_rslora", kComputed, "model.lora.rank_stabilized", "", kLora},
    TrainerSetting{"use_dora", kComputed, "model.lora.use_dora", "", kLora},
    TrainerSetting{"lora_target_parameters lora_modules_to_save", kRefused, "", "[]",
                   "an adapter is of the layers' projections"},
    TrainerSetting{"lora_task_type", kRefused, "", "CAUSAL_LM", "the policy is a causal language model"},
    TrainerSetting{"load_in_4bit", kComputed, "model.quantization", "", "true is nf4"},
    TrainerSetting{"load_in_8bit", kRefused, "", "false", "model.quantization: nf4 is the only format below 16 bits"},
    TrainerSetting{"bnb_4bit_quant_type", kRefused, "", "nf4", "nf4 is the only format"},
    TrainerSetting{"use_bnb_nested_quant bnb_4bit_quant_storage", kIgnored, "", "",
                   "scales are float32, and codes bytes"},
    // ScriptArguments and DatasetMixtureConfig.
    TrainerSetting{"dataset_name", kComputed, "data.train", "",
                   "a folder with the split's file or folder in it; --train names another file"},
    TrainerSetting{"dataset_config", kIgnored, "", "", "a folder of the configuration is named instead"},
    TrainerSetting{"dataset_train_split", kComputed, "data.train", "", "the file or folder in dataset_name"},
    TrainerSetting{"dataset_test_split", kComputed, "data.validation", "",
                   "with eval_strategy; --validation names another file"},
    TrainerSetting{"dataset_streaming streaming", kIgnored, "", "", "files are read in parts, always"},
    TrainerSetting{"ignore_bias_buffers", kIgnored, "", "", "of torch's distributed module"},
    TrainerSetting{"datasets", kComputed, "data.train_files", "",
                   "path json, parquet or arrow with data_files, or a folder; name, columns and fraction are refused"},
    TrainerSetting{"test_split_size", kRefused, "", "", "split the file first, and name both parts"},
    TrainerSetting{"env", kIgnored, "", "", "variables of the environment are the coordinator's"},
    TrainerSetting{"config", kIgnored, "", "", "the file itself"},
    // Of accelerate, which `trl dpo` starts: in the file or behind --.
    TrainerSetting{"num_processes", kComputed, "launch.workers", "", "as --workers, which goes before it"},
    TrainerSetting{"mixed_precision", kRefused, "", "no", "say bf16, which goes before it in TRL too"},
    TrainerSetting{"accelerate_config num_machines machine_rank main_process_ip main_process_port rdzv_backend "
                   "rdzv_conf same_network multi_gpu gpu_ids num_cpu_threads_per_process use_deepspeed use_fsdp "
                   "deepspeed_config_file zero_stage dynamo_backend cpu tpu mps",
                   kIgnored, "", "", kDevices},
};

constexpr std::string_view kCompiler = "there is one implementation, chosen by the device";
constexpr std::string_view kDisplay = "progress is shown by itself";
constexpr std::string_view kLoader = "files are read on all cores, some thousand pairs at a time";
constexpr std::string_view kBest = "write training.early_stopping with metric, mode and keep_best: true instead";
constexpr std::string_view kEvaluation =
    "an evaluation has every pair, and is before the first and after the last step";

constexpr std::array kTransformers = {
    TrainerSetting{"output_dir", kComputed, "output", "", ""},
    TrainerSetting{"run_name", kComputed, "name", "", "in small letters, digits and -"},
    TrainerSetting{"per_device_train_batch_size gradient_accumulation_steps", kComputed, "training.global_batch_size",
                   "", kOneBatch},
    TrainerSetting{"num_train_epochs", kComputed, "training.epochs", "", "where max_steps is not given"},
    TrainerSetting{"max_steps", kComputed, "training.max_steps", "", "-1 is as if not given"},
    TrainerSetting{"learning_rate", kCopied, "optimizer.learning_rate", "", ""},
    TrainerSetting{"lr_scheduler_type", kComputed, "optimizer.schedule.type", "",
                   "constant, constant_with_warmup, linear, cosine; others are refused"},
    TrainerSetting{"lr_scheduler_kwargs", kRefused, "", "{}", "linear and cosine fall to 0, in one period"},
    TrainerSetting{"warmup_steps warmup_ratio", kComputed, "optimizer.schedule.warmup_steps", "",
                   "a share of the steps, below 1, is multiplied with their number, for which the pairs are counted"},
    TrainerSetting{"optim", kCopied, "optimizer.type",
                   "adamw_torch=adamw adamw_torch_fused=adamw adamw_hf=adamw adamw_apex_fused=adamw "
                   "adamw_torch_xla=adamw adamw_torch_npu_fused=adamw adamw_anyprecision=adamw sgd=sgd "
                   "rmsprop=rmsprop adamw_bnb_8bit=adamw adamw_8bit=adamw adamw_torch_8bit=adamw "
                   "adamw_torch_4bit=adamw paged_adamw=adamw paged_adamw_32bit=adamw paged_adamw_8bit=adamw",
                   "its state is float32 and on the device, whatever the name says"},
    TrainerSetting{"optim_args optim_target_modules", kRefused, "", "", "section optimizer has every setting"},
    TrainerSetting{"weight_decay", kComputed, "optimizer.weight_decay", "",
                   "with optimizer.decay_exclude: [norm, bias], as transformers does"},
    TrainerSetting{"adam_beta1 adam_beta2", kComputed, "optimizer.betas", "", ""},
    TrainerSetting{"adam_epsilon", kCopied, "optimizer.epsilon", "", ""},
    TrainerSetting{"max_grad_norm", kCopied, "optimizer.max_grad_norm", "", ""},
    TrainerSetting{"average_tokens_across_devices", kIgnored, "", "", "a mean of tokens is over all ranks, always"},
    TrainerSetting{"label_smoothing_factor", kIgnored, "", "", "DPOTrainer does not read it"},
    TrainerSetting{"bf16", kComputed, "model.dtype", "",
                   "true is bfloat16: parameters are bfloat16 beside float32 copies in the optimiser, where TRL keeps "
                   "float32 parameters and multiplies in bfloat16"},
    TrainerSetting{"fp16", kRefused, "", "false", "float16 is not implemented: bf16"},
    TrainerSetting{"bf16_full_eval fp16_full_eval", kIgnored, "", "", "evaluations have the type of training"},
    TrainerSetting{"tf32", kIgnored, "", "", "products of float32 stay float32"},
    TrainerSetting{"gradient_checkpointing activation_checkpointing", kComputed, "training.gradient_checkpointing", "",
                   ""},
    TrainerSetting{"gradient_checkpointing_kwargs activation_checkpointing_kwargs", kIgnored, "", "",
                   "there is one way"},
    TrainerSetting{"torch_compile torch_compile_backend torch_compile_mode use_liger_kernel liger_kernel_config "
                   "use_cache torch_empty_cache_steps jit_mode_eval use_ipex half_precision_backend fp16_opt_level",
                   kIgnored, "", "", kCompiler},
    TrainerSetting{"neftune_noise_alpha", kRefused, "", "", kNotImplemented},
    TrainerSetting{"auto_find_batch_size", kIgnored, "", "", "training.micro_batch_tokens bounds the memory"},
    TrainerSetting{"logging_steps logging_strategy", kComputed, "logging.every_steps", "",
                   "a share below 1 and epoch are turned into steps"},
    TrainerSetting{"logging_first_step", kIgnored, "", "", "logging.every_steps: 1 logs every step"},
    TrainerSetting{"log_on_each_node logging_nan_inf_filter include_num_input_tokens_seen log_level log_level_replica "
                   "disable_tqdm debug skip_memory_metrics include_tokens_per_second",
                   kIgnored, "", "", kDisplay},
    TrainerSetting{"report_to project trackio_space_id trackio_bucket_id trackio_static_space_id logging_dir", kIgnored,
                   "", "", kTracker},
    TrainerSetting{"eval_strategy evaluation_strategy eval_steps", kComputed, "evaluation.every_steps", "",
                   "no: there is no validation file"},
    TrainerSetting{"per_device_eval_batch_size eval_accumulation_steps", kIgnored, "", "",
                   "training.micro_batch_tokens bounds the memory"},
    TrainerSetting{"eval_delay", kRefused, "", "0", kEvaluation},
    TrainerSetting{"prediction_loss_only eval_on_start eval_do_concat_batches eval_use_gather_object "
                   "include_for_metrics batch_eval_metrics",
                   kIgnored, "", "", kEvaluation},
    TrainerSetting{"save_strategy save_steps", kComputed, "checkpoint.every_steps", "",
                   "no is none at all, epoch the steps of one; best is refused"},
    TrainerSetting{"save_total_limit", kCopied, "checkpoint.keep", "",
                   "without it transformers keeps all, and a job the newest two"},
    TrainerSetting{"save_only_model save_on_each_node save_safetensors enable_jit_checkpoint", kIgnored, "", "",
                   kWholeCheckpoint},
    TrainerSetting{"push_to_hub", kRefused, "", "false", kHub},
    TrainerSetting{"hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision "
                   "push_to_hub_model_id push_to_hub_organization push_to_hub_token",
                   kIgnored, "", "", kHub},
    TrainerSetting{"load_best_model_at_end", kRefused, "", "false", kBest},
    TrainerSetting{"metric_for_best_model greater_is_better", kIgnored, "", "", "without load_best_model_at_end"},
    TrainerSetting{"ignore_data_skip restore_callback_states_from_checkpoint", kIgnored, "", "",
                   "a run that goes on is the one that it would have been"},
    TrainerSetting{"resume_from_checkpoint", kRefused, "", "false",
                   "equipoise train job.yaml --resume goes on with a run; a checkpoint-N of transformers can be "
                   "--model"},
    TrainerSetting{"overwrite_output_dir", kCopied, "overwrite", "true=true false=false", ""},
    TrainerSetting{"full_determinism", kIgnored, "", "", "a run is the same again, always"},
    TrainerSetting{"seed data_seed", kComputed, "training.seed", "", "data_seed where it is given"},
    TrainerSetting{"use_cpu no_cuda use_mps_device", kIgnored, "", "",
                   "EQUIPOISE_DEVICE=cpu in the environment keeps to the processor"},
    TrainerSetting{"train_sampling_strategy", kComputed, "data.shuffle", "",
                   "sequential is false; random is true; others are refused"},
    TrainerSetting{"group_by_length length_column_name", kIgnored, "", "", "there is no padding to save"},
    TrainerSetting{"dataloader_drop_last", kRefused, "", "false", "an epoch's last batch is trained on, however small"},
    TrainerSetting{"dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers "
                   "dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order "
                   "remove_unused_columns label_names",
                   kIgnored, "", "", kLoader},
    TrainerSetting{"ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend "
                   "ddp_timeout local_rank ray_scope",
                   kIgnored, "", "", kDevices},
    TrainerSetting{"fsdp fsdp_config deepspeed accelerator_config parallelism_config fsdp_min_num_params", kIgnored, "",
                   "", kSharding},
    TrainerSetting{"do_train do_eval do_predict", kIgnored, "", "", "the verb says what is done"},
};

constexpr std::array<std::span<const TrainerSetting>, 2> kParts = {kTrl, kTransformers};

}  // namespace

std::span<const TrainerSetting> transformers_settings() { return kTransformers; }

TrainerTable trl_table() {
  return {.trainer = Trainer::kTrl,
          .name = "trl",
          .title = "TRL 1.16",
          .defaults = kDefaults,
          .settings = {kParts.begin(), kParts.end()},
          .differences = kDifferences};
}

}  // namespace equipoise
