// axolotl_table() of trainer_settings.h: every key of axolotl 0.19's AxolotlInputConfig.
#include <array>

#include "client/convert/setting_notes.h"
#include "client/convert/trainer_settings.h"

namespace equipoise {
namespace {

using enum SettingRule;

constexpr std::string_view kAxolotlDefaults = R"(
learning_rate: 1.0e-6
num_train_epochs: 1
per_device_train_batch_size: 1
gradient_accumulation_steps: 1
lr_scheduler_type: cosine
warmup_steps: 0.03
logging_steps: 1
save_strategy: epoch
save_total_limit: 4
eval_strategy: 'no'
gradient_checkpointing: true
disable_dropout: true
bf16: true
seed: 42
beta: 0.1
loss_type: [sigmoid]
max_length: 512
truncation_mode: drop
dtype: float32
lora_r: 8
lora_alpha: 16
lora_dropout: 0.0
output_dir: model-out
)";

constexpr std::array kAxolotlDifferences = {
    kOtherOrder,
    kMeanOverPairs,
    std::string_view("prompts are rendered by the chat template of the model's folder, not by axolotl's strategies"),
};

constexpr std::string_view kFolder = "the tokenizer is tokenizer.json of the model's folder";
constexpr std::string_view kSupervised = "of supervised fine-tuning; preference pairs are not packed";

constexpr std::array kAxolotl = {
    TrainerSetting{"rl", kRenamed, "loss_type", "dpo=sigmoid ipo=ipo", "required; other methods are refused"},
    TrainerSetting{"dpo_loss_type", kRenamed, "loss_type", "", ""},
    TrainerSetting{"dpo_loss_weights", kRenamed, "loss_weights", "", ""},
    TrainerSetting{"dpo_label_smoothing", kRenamed, "label_smoothing", "", ""},
    TrainerSetting{"rl_beta dpo_beta", kRenamed, "beta", "", ""},
    TrainerSetting{"rpo_alpha", kRenamed, "rpo_alpha", "", ""},
    TrainerSetting{"dpo_use_weighting", kRenamed, "use_weighting", "", ""},
    TrainerSetting{"dpo_norm_loss", kRefused, "", "false", "loss.length_normalized: true"},
    TrainerSetting{"dpo_padding_free dpo_use_liger_kernel dpo_use_logits_to_keep precompute_ref_log_probs", kIgnored,
                   "", "", "log-probabilities of the reference are computed once, and batches packed without padding"},
    TrainerSetting{"dpo_generate_during_eval", kRefused, "", "false", kNothingGenerated},
    TrainerSetting{"orpo_alpha simpo_gamma cpo_alpha kto_desirable_weight kto_undesirable_weight "
                   "center_rewards_coefficient",
                   kIgnored, "", "", "of methods that are refused"},
    TrainerSetting{"trl", kComputed, "loss.beta", "", "a section: beta is read, all else is of GRPO and refused"},
    TrainerSetting{
        "vllm ebft qat quantization reward_model process_reward_model num_labels trainer_cls use_pose "
        "use_eaft plugins neftune_noise_alpha noisy_embedding_alpha relora qgalore_rank loraplus_lr_ratio "
        "embedding_lr embedding_lr_scale lr_groups lisa_n_layers pretraining_dataset fp8 "
        "jagged_restart_steps torchdistx_path unfrozen_parameters model_quantization_config "
        "use_onebitllms curriculum_sampling scaling_softmax overrides_of_model_config "
        "overrides_of_model_kwargs rope_scaling reinit_weights llama4_linearized_experts model_config model_kwargs",
        kRefused, "", "false 0 0.0 {}", kNotImplemented},
    // Model.
    TrainerSetting{"base_model", kRenamed, "model_name_or_path", "", ""},
    TrainerSetting{"revision_of_model model_revision", kRenamed, "model_revision", "", ""},
    TrainerSetting{"base_model_config cls_model_config tokenizer_config tokenizer_use_fast tokenizer_legacy "
                   "tokenizer_use_mistral_common tokenizer_type processor_type processor_kwargs "
                   "tokenizer_save_jinja_files is_falcon_derived_model is_llama_derived_model "
                   "is_mistral_derived_model is_qwen_derived_model trust_remote_code",
                   kIgnored, "", "", kFolder},
    TrainerSetting{"type_of_model model_type", kIgnored, "", "", "the model is what config.json of its folder says"},
    TrainerSetting{"special_tokens", kRefused, "", "{} {pad_token}",
                   "the tokenizer is taken as the model's folder has it: change it there, and leave them out here; a "
                   "pad_token alone has no effect, as pairs are packed without padding"},
    TrainerSetting{"tokens added_tokens_overrides eot_tokens resize_token_embeddings_to_32x "
                   "mean_resizing_embeddings shrink_embeddings fix_untrained_tokens default_system_message",
                   kRefused, "", "{} [] false", "the tokenizer is taken as the model's folder has it: change it there"},
    TrainerSetting{"chat_template", kRefused, "", "tokenizer_default",
                   "the chat template is the model folder's, or a Jinja file: model.chat_template"},
    TrainerSetting{"chat_template_jinja chat_template_kwargs", kRefused, "", "",
                   "write the template into a file, and name it in model.chat_template"},
    TrainerSetting{"bf16 bfloat16", kRenamed, "bf16", "auto=true true=true full=true false=false",
                   "auto by default, which is true on every GPU that has bfloat16"},
    TrainerSetting{"fp16 float16", kRenamed, "fp16", "", ""},
    TrainerSetting{"float32", kIgnored, "", "", "it is what holds with bf16: false"},
    TrainerSetting{"tf32", kRenamed, "tf32", "", ""},
    TrainerSetting{"load_in_4bit", kRenamed, "load_in_4bit", "", ""},
    TrainerSetting{"load_in_8bit", kRenamed, "load_in_8bit", "", ""},
    TrainerSetting{"gptq", kRefused, "", "false", "model.quantization: nf4 is the only format below 16 bits"},
    // Adapter.
    TrainerSetting{"adapter", kRenamed, "use_peft", "lora=true qlora=true", ""},
    TrainerSetting{"lora_model_dir", kCopied, "model.adapter", "", ""},
    TrainerSetting{"lora_r", kRenamed, "lora_r", "", ""},
    TrainerSetting{"lora_alpha", kRenamed, "lora_alpha", "", ""},
    TrainerSetting{"lora_dropout", kRenamed, "lora_dropout", "", ""},
    TrainerSetting{"lora_target_modules", kRenamed, "lora_target_modules", "", ""},
    TrainerSetting{"lora_target_linear", kRenamed, "lora_target_modules", "true=all-linear false=", ""},
    TrainerSetting{"peft_use_dora", kRenamed, "use_dora", "", ""},
    TrainerSetting{"peft_use_rslora", kRenamed, "use_rslora", "", ""},
    TrainerSetting{"lora_modules_to_save lora_target_parameters", kRenamed, "lora_modules_to_save", "", ""},
    TrainerSetting{"lora_fan_in_fan_out peft_ensure_weight_tying merge_lora", kRefused, "", "false",
                   "an adapter is of the layers' projections; equipoise export --merge merges it"},
    TrainerSetting{"lora_rank_pattern lora_alpha_pattern peft_layers_to_transform peft_layers_pattern peft "
                   "peft_layer_replication peft_trainable_token_indices",
                   kRefused, "", "[] {}", "every projection has the same rank; model.lora.target_pattern chooses them"},
    TrainerSetting{"peft_init_lora_weights", kRefused, "", "true", "model.lora.init: kaiming_uniform or gaussian"},
    TrainerSetting{"peft_autocast_adapter_dtype lora_on_cpu qlora_sharded_model_loading bnb_config_kwargs "
                   "loraplus_lr_embedding lora_mlp_kernel lora_qkv_kernel lora_o_kernel lora_embedding_kernel "
                   "merge_method relora_prune_ratio relora_prune_method relora_cpu_offload",
                   kIgnored, "", "", kOneKernel},
    // Data.
    TrainerSetting{"datasets", kComputed, "data.train_files", "",
                   "path of a local file or folder; a type is refused, but for the pairs as they are (passthrough)"},
    TrainerSetting{"test_datasets", kComputed, "data.validation_files", "", "as datasets"},
    TrainerSetting{"val_set_size", kRefused, "", "0 0.0", "split the file first, and give --validation"},
    TrainerSetting{"sequence_len", kRenamed, "max_length", "", ""},
    TrainerSetting{"max_prompt_len", kRenamed, "max_prompt_length", "", ""},
    TrainerSetting{"excess_length_strategy", kRenamed, "truncation_mode", "drop=drop truncate=keep_start",
                   "pairs are dropped by default; raise is refused"},
    TrainerSetting{"eval_sequence_len min_sample_len", kRefused, "", "", "data.max_length holds for all files"},
    TrainerSetting{"sample_packing eval_sample_packing pad_to_sequence_len sample_packing_group_size "
                   "sample_packing_bin_size sample_packing_sequentially sample_packing_mp_start_method "
                   "pad_to_multiple_of multipack_real_batches batch_flattening pose_split_on_token_ids "
                   "pose_max_context_len pose_num_chunks pretrain_multipack_buffer_size pretrain_multipack_attn "
                   "pretraining_sample_concatenation train_on_inputs group_by_length total_supervised_tokens "
                   "sample_packing_eff_est total_num_tokens max_packed_sequence_len",
                   kIgnored, "", "", kSupervised},
    TrainerSetting{"dataset_exact_deduplication", kRefused, "", "false", "equipoise data check counts duplicates"},
    TrainerSetting{"shuffle_merged_datasets shuffle_before_merging_datasets dataset_prepared_path dataset_shard_num "
                   "dataset_shard_idx skip_prepare_dataset num_dataset_shards_to_save dataset_processes "
                   "dataset_num_proc dataset_keep_in_memory dataloader_pin_memory dataloader_num_workers "
                   "dataloader_prefetch_factor remove_unused_columns streaming streaming_multipack_buffer_size "
                   "is_preprocess preprocess_iterable image_size image_resize_algorithm role_boundaries",
                   kIgnored, "", "", kReading},
    TrainerSetting{"dataloader_drop_last", kRenamed, "dataloader_drop_last", "", ""},
    // Optimiser and steps.
    TrainerSetting{"micro_batch_size", kRenamed, "per_device_train_batch_size", "", ""},
    TrainerSetting{"batch_size", kRefused, "", "",
                   "give micro_batch_size and gradient_accumulation_steps, whose product it is"},
    TrainerSetting{"gradient_accumulation_steps", kRenamed, "gradient_accumulation_steps", "", ""},
    TrainerSetting{"num_epochs", kRenamed, "num_train_epochs", "", ""},
    TrainerSetting{"max_steps", kRenamed, "max_steps", "", ""},
    TrainerSetting{"learning_rate", kRenamed, "learning_rate", "", ""},
    TrainerSetting{"lr_scheduler", kRenamed, "lr_scheduler_type", "", "cosine by default"},
    TrainerSetting{"lr_scheduler_kwargs", kRenamed, "lr_scheduler_kwargs", "", ""},
    TrainerSetting{"cosine_min_lr_ratio cosine_constant_lr_ratio lr_quadratic_warmup lr_div_factor", kRefused, "",
                   "false", "linear and cosine fall to 0"},
    TrainerSetting{"warmup_steps warmup_ratio", kRenamed, "warmup_steps", "",
                   "3 % of the steps by default, in axolotl 100 at most"},
    TrainerSetting{"optimizer", kRenamed, "optim", "", ""},
    TrainerSetting{"optim_args optim_target_modules", kRenamed, "optim_args", "", ""},
    TrainerSetting{"weight_decay", kRenamed, "weight_decay", "", ""},
    TrainerSetting{"adam_beta1", kRenamed, "adam_beta1", "", ""},
    TrainerSetting{"adam_beta2", kRenamed, "adam_beta2", "", ""},
    TrainerSetting{"adam_epsilon", kRenamed, "adam_epsilon", "", ""},
    TrainerSetting{"max_grad_norm", kRenamed, "max_grad_norm", "", ""},
    TrainerSetting{"adam_beta3 adam_epsilon2 dion_lr dion_momentum dion_rank_fraction dion_rank_multiple_of "
                   "qgalore_update_proj_gap qgalore_scale qgalore_proj_type qgalore_proj_quant qgalore_proj_bits "
                   "qgalore_proj_group_size qgalore_cos_threshold qgalore_gamma_proj qgalore_queue_size "
                   "jagged_restart_warmup_steps jagged_restart_anneal_steps lisa_step_interval lisa_layers_attribute",
                   kIgnored, "", "", "of optimizers and schedules that are refused"},
    TrainerSetting{"gradient_checkpointing", kRenamed, "gradient_checkpointing",
                   "true=true false=false offload=true offload_disk=true unsloth=true", ""},
    TrainerSetting{"gradient_checkpointing_kwargs selective_checkpointing activation_offloading layer_offloading",
                   kIgnored, "", "", "training.gradient_checkpointing keeps the input of each layer"},
    TrainerSetting{"seed", kRenamed, "seed", "", ""},
    TrainerSetting{"auto_find_batch_size eval_batch_size", kRenamed, "per_device_eval_batch_size", "", ""},
    TrainerSetting{"freeze_mm_modules", kIgnored, "", "", "the policy is a language model"},
    // Evaluation, checkpoints, output.
    TrainerSetting{"eval_strategy evaluation_strategy", kRenamed, "eval_strategy", "", ""},
    TrainerSetting{"eval_steps", kRenamed, "eval_steps", "", ""},
    TrainerSetting{"evals_per_epoch", kComputed, "evaluation.every_steps", "", "the steps of an epoch are counted"},
    TrainerSetting{"saves_per_epoch", kComputed, "checkpoint.every_steps", "", "the steps of an epoch are counted"},
    TrainerSetting{"save_strategy", kRenamed, "save_strategy", "", "epoch by default"},
    TrainerSetting{"save_steps", kRenamed, "save_steps", "", ""},
    TrainerSetting{"save_total_limit", kRenamed, "save_total_limit", "", "4 by default"},
    TrainerSetting{"save_first_step save_only_model save_safetensors dynamic_checkpoint fsdp_final_state_dict_type",
                   kIgnored, "", "", kWholeCheckpoint},
    TrainerSetting{"logging_steps", kRenamed, "logging_steps", "", ""},
    TrainerSetting{"early_stopping_patience load_best_model_at_end", kRenamed, "load_best_model_at_end", "", ""},
    TrainerSetting{"metric_for_best_model greater_is_better", kRenamed, "metric_for_best_model", "", ""},
    TrainerSetting{"loss_watchdog_threshold loss_watchdog_patience gc_steps torch_empty_cache_steps gc_collect_steps "
                   "profiler_steps profiler_steps_start include_tokens_per_second include_tkps strict "
                   "axolotl_config_path device_map device max_memory gpu_memory_limit low_cpu_mem_usage "
                   "experimental_skip_move_to_device",
                   kIgnored, "", "", "a loss that is not finite ends the run; progress is shown by itself"},
    TrainerSetting{"output_dir", kRenamed, "output_dir", "", ""},
    TrainerSetting{"resume_from_checkpoint auto_resume_from_checkpoints", kRenamed, "resume_from_checkpoint", "", ""},
    TrainerSetting{"hub_model_id hub_strategy hub_revision push_dataset_to_hub hf_use_auth_token", kIgnored, "", "",
                   kHub},
    TrainerSetting{"do_causal_lm_eval eval_causal_lm_metrics do_bench_eval bench_dataset bench_split generate_samples "
                   "num_generation_samples generation_max_new_tokens generation_temperature generation_top_p "
                   "generation_top_k generation_prompt_ratio generation_do_sample eval_table_size eval_max_new_tokens",
                   kIgnored, "", "", kNothingGenerated},
    TrainerSetting{
        "use_wandb wandb_name wandb_run_id wandb_mode wandb_project wandb_entity wandb_watch wandb_log_model "
        "use_mlflow mlflow_tracking_uri mlflow_experiment_name mlflow_run_name hf_mlflow_log_artifacts "
        "use_comet comet_api_key comet_workspace comet_project_name comet_experiment_key comet_mode "
        "comet_online comet_experiment_config use_trackio trackio_project_name trackio_run_name "
        "trackio_space_id use_otel_metrics otel_metrics_host otel_metrics_port use_tensorboard "
        "gradio_title gradio_share gradio_server_name gradio_server_port gradio_max_new_tokens "
        "gradio_temperature",
        kIgnored, "", "", kTracker},
    // Devices and kernels.
    TrainerSetting{"deepspeed fsdp fsdp_config fsdp_version dp_shard_size dp_replicate_size sequence_parallel_degree "
                   "context_parallel_size tensor_parallel_size heads_k_stride ring_attn_func deepcompile "
                   "accelerator_config fp32_norms fp32_norm_classes",
                   kIgnored, "", "", kSharding},
    TrainerSetting{"world_size local_rank ddp ddp_timeout ddp_bucket_cap_mb ddp_broadcast_buffers "
                   "ddp_find_unused_parameters use_ray ray_run_name ray_num_workers resources_per_worker",
                   kIgnored, "", "", "ranks are launch.workers (--workers), joined by MPI or NCCL"},
    TrainerSetting{"xformers_attention sdp_attention flex_attention flex_attn_compile_kwargs flash_attention "
                   "flash_attn_cross_entropy flash_attn_fuse_mlp flash_attn_rms_norm flash_optimum sage_attention "
                   "eager_attention s2_attention attn_implementation gemma4_hybrid_attn_impl large_head_attention "
                   "flash_attn_d512 sdpa_varlen fused_attn_kernel experts_implementation ple_cpu_offload "
                   "quantize_moe_experts scaling_softmax_factor scaling_softmax_bias chunked_cross_entropy "
                   "chunked_cross_entropy_num_chunks eaft_alpha eaft_k tiled_mlp tiled_mlp_num_shards "
                   "tiled_mlp_use_original_mlp torch_compile torch_compile_backend torch_compile_mode "
                   "torch_compile_options fp8_config fp8_enable_fsdp_float8_all_gather embeddings_skip_upcast "
                   "use_kernels model_quantization_config_kwargs",
                   kIgnored, "", "", kOneKernel},
};

}  // namespace

TrainerTable axolotl_table() {
  return {.trainer = Trainer::kAxolotl,
          .name = "axolotl",
          .title = "axolotl 0.19",
          .defaults = kAxolotlDefaults,
          .settings = {kAxolotl},
          .differences = kAxolotlDifferences};
}

}  // namespace equipoise
