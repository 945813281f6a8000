// llama_factory_table() of trainer_settings.h: every field of the argument classes of LLaMA-Factory 0.9.5.
#include <array>

#include "client/convert/setting_notes.h"
#include "client/convert/trainer_settings.h"

namespace equipoise {
namespace {

using enum SettingRule;

constexpr std::string_view kFactoryDefaults = R"(
learning_rate: 5.0e-5
num_train_epochs: 3
per_device_train_batch_size: 8
gradient_accumulation_steps: 1
lr_scheduler_type: linear
logging_steps: 500
save_strategy: steps
save_steps: 500
eval_strategy: 'no'
gradient_checkpointing: true
disable_dropout: true
bf16: false
seed: 42
beta: 0.1
loss_type: [sigmoid]
max_length: 2048
truncation_mode: keep_start
dtype: float32
use_peft: true
lora_r: 8
lora_dropout: 0.0
lora_target_modules: all-linear
output_dir: trainer_output
)";

constexpr std::array kFactoryDifferences = {
    kOtherOrder,
    kMeanOverPairs,
    std::string_view(
        "prompts are rendered by the chat template of the model's folder, not by LLaMA-Factory's `template`"),
    std::string_view("a pair that is too long loses the end of its answers, not a share of prompt and answers"),
};

constexpr std::string_view kOtherStage = "of other stages than dpo";
constexpr std::string_view kMedia = "the policy reads text";

constexpr std::array kFactory = {
    TrainerSetting{"stage", kRenamed, "loss_type", "dpo=sigmoid", "required; other stages are refused"},
    TrainerSetting{"pref_loss", kRenamed, "loss_type", "sigmoid=sigmoid hinge=hinge ipo=ipo",
                   "orpo, simpo and kto_pair are refused"},
    TrainerSetting{"pref_beta", kRenamed, "beta", "", ""},
    TrainerSetting{"pref_ftx", kCopied, "loss.sft_weight", "", "per pair and token of the answer, in both"},
    TrainerSetting{"dpo_label_smoothing", kCopied, "loss.label_smoothing", "", "it changes the loss, in both"},
    TrainerSetting{"pref_bco_weight", kRefused, "", "0 0.0", kNotImplemented},
    TrainerSetting{"ld_alpha", kRenamed, "ld_alpha", "", ""},
    TrainerSetting{"ref_model", kCopied, "model.reference", "", ""},
    TrainerSetting{"ref_model_adapters ref_model_quantization_bit", kRefused, "", "",
                   "merge the adapter first (equipoise export), and name the folder in model.reference"},
    TrainerSetting{"kto_chosen_weight kto_rejected_weight simpo_gamma ppo_buffer_size ppo_epochs ppo_score_norm "
                   "ppo_target ppo_whiten_rewards reward_model reward_model_adapters reward_model_quantization_bit "
                   "reward_model_type",
                   kIgnored, "", "", kOtherStage},
    TrainerSetting{"use_dft_loss use_asft_loss use_eaft_loss use_galore use_apollo use_badam use_adam_mini use_mca "
                   "use_hyper_parallel use_llama_pro use_muon mixture_of_depths shift_attn freeze_extra_modules "
                   "loraplus_lr_ratio pissa_init pissa_convert moe_aux_loss_coef rope_scaling train_from_scratch fp8 "
                   "use_kt block_diag_attn",
                   kRefused, "", "false 0 0.0", kNotImplemented},
    TrainerSetting{"asft_alpha eaft_alpha galore_target galore_rank galore_update_interval galore_scale "
                   "galore_proj_type galore_layerwise apollo_target apollo_rank apollo_update_interval apollo_scale "
                   "apollo_proj apollo_proj_type apollo_scale_type apollo_layerwise apollo_scale_front badam_mode "
                   "badam_start_block badam_switch_mode badam_switch_interval badam_update_ratio badam_mask_mode "
                   "badam_verbose hyper_parallel_args loraplus_lr_embedding pissa_iter freeze_trainable_layers "
                   "freeze_trainable_modules module_dropout oft_rank oft_block_size oft_target kt_weight_path "
                   "kt_expert_checkpoint_path kt_use_lora_experts kt_lora_expert_num "
                   "kt_lora_expert_intermediate_size fp8_backend fp8_enable_fsdp_float8_all_gather",
                   kIgnored, "", "", "of methods that are refused"},
    // Model.
    TrainerSetting{"model_name_or_path", kRenamed, "model_name_or_path", "", ""},
    TrainerSetting{"model_revision", kRenamed, "model_revision", "", ""},
    TrainerSetting{"adapter_name_or_path", kCopied, "model.adapter", "", "one folder in PEFT's format"},
    TrainerSetting{"adapter_folder", kRefused, "", "", "name the folder itself in model.adapter"},
    TrainerSetting{"create_new_adapter", kRefused, "", "false",
                   "merge the first adapter (equipoise export), and train a new one on that"},
    TrainerSetting{"finetuning_type", kRenamed, "use_peft", "lora=true full=false", "lora by default"},
    TrainerSetting{"lora_rank", kRenamed, "lora_r", "", ""},
    TrainerSetting{"lora_alpha", kRenamed, "lora_alpha", "", "twice the rank by default"},
    TrainerSetting{"lora_dropout", kRenamed, "lora_dropout", "", ""},
    TrainerSetting{"lora_target", kRenamed, "lora_target_modules", "", "a list with commas; all is all-linear"},
    TrainerSetting{"use_rslora", kRenamed, "use_rslora", "", ""},
    TrainerSetting{"use_dora", kRenamed, "use_dora", "", ""},
    TrainerSetting{"additional_target", kRenamed, "lora_modules_to_save", "", ""},
    TrainerSetting{"quantization_bit", kRenamed, "load_in_4bit", "4=true", "8 is refused"},
    TrainerSetting{"quantization_type", kRenamed, "bnb_4bit_quant_type", "", ""},
    TrainerSetting{"quantization_method", kRefused, "", "bnb bitsandbytes",
                   "model.quantization: nf4 is the only format"},
    TrainerSetting{"double_quantization quantization_device_map", kIgnored, "", "", "scales are float32"},
    TrainerSetting{"pure_bf16", kRenamed, "dtype", "true=bfloat16 false=", ""},
    TrainerSetting{"resize_vocab add_tokens add_special_tokens new_special_tokens_config", kRefused, "", "false",
                   "the tokenizer is taken as the model's folder has it: change it there"},
    TrainerSetting{"use_fast_tokenizer split_special_tokens init_special_tokens cache_dir low_cpu_mem_usage "
                   "hf_hub_token ms_hub_token om_hub_token trust_remote_code print_param_status offload_folder "
                   "device_map model_max_length compute_dtype infer_dtype infer_backend use_kv_cache",
                   kIgnored, "", "", "the model is read from its folder, and no code of it is run"},
    TrainerSetting{"flash_attn use_unsloth use_unsloth_gc enable_liger_kernel use_reentrant_gc upcast_layernorm "
                   "upcast_lmhead_output use_v1_kernels vllm_maxlen vllm_gpu_util vllm_enforce_eager "
                   "vllm_max_lora_rank vllm_config sglang_maxlen sglang_mem_fraction sglang_tp_size sglang_config "
                   "sglang_lora_backend",
                   kIgnored, "", "", kOneKernel},
    TrainerSetting{"disable_gradient_checkpointing", kRenamed, "gradient_checkpointing", "true=false false=true", ""},
    TrainerSetting{"image_max_pixels image_min_pixels image_do_pan_and_scan crop_to_patches video_max_pixels "
                   "video_min_pixels video_fps video_maxlen use_audio_in_video audio_sampling_rate media_dir "
                   "freeze_vision_tower freeze_multi_modal_projector freeze_language_model",
                   kIgnored, "", "", kMedia},
    TrainerSetting{"export_dir export_size export_device export_quantization_bit export_quantization_dataset "
                   "export_quantization_nsamples export_quantization_maxlen export_legacy_format export_hub_model_id",
                   kIgnored, "", "", "equipoise export merges an adapter"},
    // Data.
    TrainerSetting{
        "dataset", kComputed, "data.train", "",
        "a name in dataset_info.json: --train names the file, whose columns are prompt, chosen and rejected"},
    TrainerSetting{"eval_dataset", kComputed, "data.validation", "", "--validation names the file"},
    TrainerSetting{"dataset_dir", kIgnored, "", "", "--train and --validation name the files"},
    TrainerSetting{"val_size", kRefused, "", "0 0.0", "split the file first, and give --validation"},
    TrainerSetting{"max_samples", kRefused, "", "", "shorten the file first, or give training.max_steps"},
    TrainerSetting{"cutoff_len", kRenamed, "max_length", "", ""},
    TrainerSetting{"template", kIgnored, "", "",
                   "the chat template of the model's folder is used, for pairs that are messages"},
    TrainerSetting{"default_system", kRefused, "", "", "write the system message into the pairs"},
    TrainerSetting{"mix_strategy", kRefused, "", "concat", "data.train_files has weights"},
    TrainerSetting{"train_on_prompt mask_history", kRefused, "", "false", "the loss is of the answer alone"},
    TrainerSetting{"packing neat_packing", kIgnored, "", "", "of supervised fine-tuning"},
    TrainerSetting{"streaming buffer_size interleave_probs overwrite_cache preprocessing_batch_size "
                   "preprocessing_num_workers eval_num_beams ignore_pad_token_for_loss eval_on_each_dataset "
                   "tool_format enable_thinking preserve_thinking tokenized_path data_shared_file_system",
                   kIgnored, "", "", kReading},
    TrainerSetting{"disable_shuffling", kRenamed, "train_sampling_strategy", "true=sequential false=random", ""},
    // Running.
    TrainerSetting{"early_stopping_steps", kRefused, "", "", "training.early_stopping has metric, mode and patience"},
    TrainerSetting{"compute_accuracy plot_loss include_effective_tokens_per_second use_swanlab swanlab_project "
                   "swanlab_workspace swanlab_run_name swanlab_mode swanlab_api_key swanlab_logdir "
                   "swanlab_lark_webhook_url swanlab_lark_secret enable_torch_profiler profiler_output_dir "
                   "profiler_wait_steps profiler_warmup_steps profiler_active_steps profiler_repeat "
                   "profiler_record_shapes profiler_profile_memory profiler_with_stack profile_modules",
                   kIgnored, "", "", kTracker},
    TrainerSetting{"ray_num_workers ray_init_kwargs master_addr master_port", kIgnored, "", "",
                   "ranks are launch.workers (--workers), joined by MPI or NCCL"},
    TrainerSetting{"do_sample temperature top_p top_k num_beams max_new_tokens repetition_penalty length_penalty "
                   "skip_special_tokens sortish_sampler predict_with_generate generation_max_length "
                   "generation_num_beams generation_config task task_dir lang n_shot save_dir download_mode",
                   kIgnored, "", "", kNothingGenerated},
};

}  // namespace

TrainerTable llama_factory_table() {
  return {.trainer = Trainer::kLlamaFactory,
          .name = "llama-factory",
          .title = "LLaMA-Factory 0.9.5",
          .defaults = kFactoryDefaults,
          .settings = {kFactory, transformers_settings()},
          .differences = kFactoryDifferences};
}

}  // namespace equipoise
