// foreign_keys() of foreign_names.h.
#include <array>

#include "common/config/foreign_names.h"

namespace equipoise {
namespace {

constexpr std::string_view kBatch =
    "pairs of one optimiser step over all ranks: others' batch per device times gradient accumulation times devices; "
    "training.micro_batch_tokens bounds the memory";
constexpr std::string_view kTracker =
    "metrics.jsonl in the output and the coordinator's /metrics have every number, logging.tensorboard writes event "
    "files, "
    "and python -m equipoise.trackers sends them to wandb, mlflow and trackio";
constexpr std::string_view kCheckpoints =
    "a checkpoint has all that the steps after it need, and stands in checkpoints/ of the output; "
    "training.early_stopping.keep_best saves the best evaluation's parameters";
constexpr std::string_view kAllRanks = "ranks are given by launch.workers, and MPI or NCCL joins them";
constexpr std::string_view kNoSharding =
    "every rank holds the whole model; model.lora, model.quantization and "
    "training.gradient_checkpointing save memory";
constexpr std::string_view kNoPadding = "batches are packed without padding";
constexpr std::string_view kReader = "files are read and tokenised on all cores, some thousand pairs at a time";
constexpr std::string_view kDevice =
    "a GPU is used where there is one; the environment variable EQUIPOISE_DEVICE=cpu "
    "keeps to the processor";
constexpr std::string_view kNotImplemented = "it is not implemented";
constexpr std::string_view kHub =
    "nothing is loaded from the Hub or sent there; download with hf download ID --local-dir "
    "FOLDER, and give the folder";
constexpr std::string_view kProgress =
    "equipoise train shows progress by itself; logging.every_steps thins metrics.jsonl";
constexpr std::string_view kOneForm = "the verb says what is done: equipoise train, equipoise evaluate";
constexpr std::string_view kGeneration = "nothing is generated while training";

constexpr std::array kKeys = {
    // Model.
    ForeignKey{"model_name_or_path model_name model_id base_model pretrained_model_name_or_path model_path",
               "model.path", "a folder, downloaded with hf download ID --local-dir FOLDER"},
    ForeignKey{"ref_model ref_model_name_or_path reference_model ref_model_path base_reference", "model.reference",
               "a folder; absent: the policy at the start"},
    ForeignKey{"tokenizer tokenizer_name tokenizer_name_or_path processing_class tokenizer_path tokenizer_config", "",
               "the tokenizer is tokenizer.json of the folder model.path"},
    ForeignKey{"torch_dtype precision mixed_precision", "model.dtype", "float32, float64 or bfloat16"},
    ForeignKey{"bf16 bf16_full_eval bfloat16", "model.dtype: bfloat16",
               "parameters and products are bfloat16, the optimiser keeps float32 copies"},
    ForeignKey{"fp16 fp16_full_eval half_precision_backend fp16_opt_level fp16_backend", "model.dtype: bfloat16",
               "float16 is not implemented"},
    ForeignKey{"tf32", "", "matrix products of float32 stay float32"},
    ForeignKey{"chat_template_path template chat_template_jinja", "model.chat_template", "a Jinja file"},
    ForeignKey{"attn_implementation flash_attn flash_attention sdp_attention xformers_attention use_flash_attention_2 "
               "use_liger_kernel liger_kernel_config enable_liger_kernel use_unsloth torch_compile "
               "torch_compile_backend torch_compile_mode use_kernels jit_mode_eval use_ipex dynamo",
               "", "the trainer has one implementation of each layer, and chooses it by the device"},
    ForeignKey{"model_init_kwargs ref_model_init_kwargs model_revision revision trust_remote_code hub_revision "
               "model_adapter_name ref_adapter_name force_use_ref_model cache_dir use_auth_token hf_hub_token",
               "", kHub},
    ForeignKey{"router_aux_loss_coef output_router_logits", "", "there are no mixtures of experts"},
    ForeignKey{"load_in_4bit use_bnb bnb_4bit_quant_type quantization_bit bnb_config quantization_config "
               "bnb_4bit_compute_dtype use_bnb_nested_quant bnb_4bit_use_double_quant bnb_4bit_quant_storage",
               "model.quantization: nf4", "with model.lora"},
    ForeignKey{"load_in_8bit gptq quantization_method", "model.quantization: nf4",
               "nf4 is the only format of 4 or 8 bits"},
    ForeignKey{"use_cache low_cpu_mem_usage max_memory device_map resize_token_embeddings_to_32x special_tokens "
               "added_tokens_overrides new_tokens resize_vocab",
               "", "the model and the tokenizer are taken as the folder has them"},
    // LoRA.
    ForeignKey{"use_peft peft_config peft lora_config finetuning_type", "model.lora",
               "a section; lora: {} takes its defaults"},
    ForeignKey{"lora_r lora_rank rank", "model.lora.r", ""},
    ForeignKey{"lora_alpha", "model.lora.alpha", ""},
    ForeignKey{"lora_dropout", "model.lora.dropout", ""},
    ForeignKey{"lora_target_modules lora_target target_linear lora_target_linear", "model.lora.target_modules",
               "a list; [all-linear] is the default"},
    ForeignKey{"use_rslora rslora peft_use_rslora", "model.lora.rank_stabilized", ""},
    ForeignKey{"peft_use_dora lora_use_dora", "model.lora.use_dora", ""},
    ForeignKey{"init_lora_weights peft_init_lora_weights", "model.lora.init", "kaiming_uniform or gaussian"},
    ForeignKey{"adapter_name_or_path lora_model_dir peft_model_id adapter_path", "model.adapter",
               "a folder in PEFT's format"},
    ForeignKey{"exclude_modules layers_to_transform layers_pattern peft_layers_to_transform",
               "model.lora.target_pattern", "one regular expression over the modules' whole names"},
    ForeignKey{"modules_to_save lora_modules_to_save lora_bias fan_in_fan_out rank_pattern alpha_pattern "
               "trainable_token_indices loftq_config eva_config corda_config lora_ga_config velora_config "
               "alora_invocation_tokens use_qalora qalora_group_size layer_replication runtime_config "
               "target_parameters lora_target_parameters megatron_config megatron_core monteclora_config use_bdlora "
               "arrow_config kasa_config ensure_weight_tying lora_task_type task_type peft_type inference_mode bias "
               "additional_target loraplus_lr_ratio use_loraplus pissa_init use_badam use_galore use_apollo "
               "freeze_trainable_layers unfrozen_parameters relora_steps",
               "",
               "an adapter is LoRA or DoRA of the layers' projections: model.lora has r, alpha, dropout, "
               "target_modules, target_pattern, init, rank_stabilized and use_dora"},
    // Data.
    ForeignKey{"dataset_name dataset train_file train_dataset datasets data_path dataset_path", "data.train",
               "a file or folder; several are data.train_files: [{path: FILE}, ...]"},
    ForeignKey{"eval_dataset validation_file eval_file test_datasets val_file dev_file", "data.validation",
               "a file or folder; several are data.validation_files: [{path: FILE}, ...]"},
    ForeignKey{"dataset_train_split dataset_test_split dataset_config dataset_split split dataset_dir", "data.train",
               "a split is named as FOLDER/train"},
    ForeignKey{"val_size val_set_size test_size test_split_size validation_split", "",
               "equipoise data import preferences --validation FILE keeps prompts back"},
    ForeignKey{"dataset_prepared_path overwrite_cache tokenized_path", "data.token_cache", "true or false"},
    ForeignKey{"group_column group_by group_field groups_column", "data.group_columns", "a list of fields"},
    ForeignKey{"max_seq_length max_seq_len sequence_len cutoff_len model_max_length max_target_length max_tokens",
               "data.max_length", "tokens of prompt and one answer"},
    ForeignKey{"max_completion_length max_new_tokens max_answer_length", "data.max_length",
               "an answer has what data.max_prompt_length leaves"},
    ForeignKey{"max_source_length", "data.max_prompt_length", ""},
    ForeignKey{"truncation_mode truncation_side excess_length_strategy", "data.truncation",
               "keep_start, keep_end or drop"},
    ForeignKey{"dataset_num_proc dataset_processes preprocessing_num_workers dataloader_num_workers num_workers "
               "dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataset_streaming "
               "dataloader_multiprocessing_context dataloader_in_order streaming dataset_batch_size",
               "", kReader},
    ForeignKey{
        "padding_free padding padding_value pad_to_multiple_of pad_token pad_token_id label_pad_token_id packing "
        "sample_packing pad_to_sequence_len eval_packing neat_packing group_by_length length_column_name "
        "padding_side",
        "", kNoPadding},
    ForeignKey{"remove_unused_columns label_names columns eos_token is_encoder_decoder", "",
               "prompt, chosen and rejected are read, and the fields that say the group (docs/formats.md)"},
    ForeignKey{"max_samples max_train_samples max_eval_samples dataset_fraction", "",
               "give a file that holds the wanted pairs"},
    ForeignKey{"train_on_inputs roles_to_train field_messages chat_template_kwargs", "",
               "answers are scored, prompts are not; docs/formats.md tells a line's fields"},
    ForeignKey{"dataloader_drop_last", "", "the last batch of an epoch may be smaller, and is used"},
    ForeignKey{"shuffle_dataset shuffle_data", "data.shuffle", ""},
    ForeignKey{"train_sampling_strategy sampler", "training.sampling", "permutation or stratified"},
    // Loss.
    ForeignKey{"loss_type pref_loss rl dpo_loss objective", "loss.type",
               "sigmoid is dpo; ipo, hinge, robust and sft are called alike"},
    ForeignKey{"pref_beta dpo_beta rl_beta kl_beta tau_ipo ipo_tau", "loss.beta", ""},
    ForeignKey{"dpo_label_smoothing rl_label_smoothing label_smoothing_factor", "loss.label_smoothing", ""},
    ForeignKey{"rpo_alpha pref_ftx sft_coef nll_weight cpo_alpha", "loss.sft_weight", ""},
    ForeignKey{"loss_weights", "loss.sft_weight", "the one loss that can be added to another is sft"},
    ForeignKey{"use_weighting ld_alpha f_divergence_type f_alpha_divergence_coef discopop_tau simpo_gamma "
               "kto_chosen_weight kto_rejected_weight pref_bco_weight orpo_alpha neftune_noise_alpha reference_weight",
               "", kNotImplemented},
    ForeignKey{"precompute_ref_log_probs precompute_ref_batch_size", "model.reference_cache",
               "the reference is always computed before the first step, and kept"},
    ForeignKey{"sync_ref_model ref_model_mixup_alpha ref_model_sync_steps", "", "the reference stays as it is"},
    ForeignKey{"disable_dropout", "model.lora.dropout", "the model itself never drops; 0 is the default"},
    ForeignKey{"average_tokens_across_devices", "loss.sft_average", "token is over all ranks"},
    ForeignKey{"group_dro dro robust_step_size eta step_size_alpha adv_eta", "robust.step_size",
               "with robust.mode: group_robust"},
    // Optimiser.
    ForeignKey{"lr max_lr peak_lr base_lr initial_lr", "optimizer.learning_rate", ""},
    ForeignKey{"optim optimizer_type optimizer_name", "optimizer.type", "adamw_torch is adamw"},
    ForeignKey{"adam_beta1 adam_beta2 adam_betas beta1 beta2", "optimizer.betas", "a list of both"},
    ForeignKey{"adam_epsilon adam_eps eps", "optimizer.epsilon", ""},
    ForeignKey{"gradient_clipping max_norm clip_grad_norm gradient_clip_val grad_clip", "optimizer.max_grad_norm", ""},
    ForeignKey{"lr_scheduler_type lr_scheduler scheduler scheduler_type lr_schedule", "optimizer.schedule.type",
               "constant, linear, cosine or plateau; TRL's default is linear, ours constant"},
    ForeignKey{"warmup_ratio", "optimizer.schedule.warmup_steps", "the ratio times the number of steps"},
    ForeignKey{"warmup num_warmup_steps lr_warmup_steps", "optimizer.schedule.warmup_steps", ""},
    ForeignKey{"lr_scheduler_kwargs cosine_min_lr_ratio cosine_constant_lr_ratio min_lr min_lr_rate lr_end", "",
               "linear and cosine fall to 0; plateau has factor, patience, threshold and minimum"},
    ForeignKey{"optim_args optim_target_modules adalomo_args embedding_lr lr_groups", "",
               "section optimizer has every setting"},
    // Training.
    ForeignKey{"num_train_epochs num_epochs n_epochs max_epochs", "training.epochs", "TRL's default is 3, ours 1"},
    ForeignKey{"max_train_steps num_training_steps total_steps num_steps n_steps train_steps", "training.max_steps",
               ""},
    ForeignKey{"per_device_train_batch_size gradient_accumulation_steps batch_size micro_batch_size train_batch_size "
               "per_gpu_train_batch_size grad_accum gradient_accumulation effective_batch_size",
               "training.global_batch_size", kBatch},
    ForeignKey{"per_device_eval_batch_size eval_batch_size per_gpu_eval_batch_size auto_find_batch_size "
               "eval_accumulation_steps",
               "training.micro_batch_tokens", "tokens of one forward pass; evaluations use the same"},
    ForeignKey{"gradient_checkpointing_kwargs activation_checkpointing activation_checkpointing_kwargs "
               "disable_gradient_checkpointing activation_offloading recompute",
               "training.gradient_checkpointing", "true or false"},
    ForeignKey{"random_seed data_seed set_seed", "training.seed", ""},
    ForeignKey{"full_determinism", "", "a run is the same again with the same seed, ranks and threads"},
    ForeignKey{"torch_empty_cache_steps ignore_data_skip", "", kNotImplemented},
    ForeignKey{"early_stopping_patience", "training.early_stopping.patience", "with metric and mode"},
    ForeignKey{"early_stopping_threshold", "training.early_stopping.min_delta", "with metric and mode"},
    ForeignKey{"load_best_model_at_end", "training.early_stopping.keep_best", "with metric and mode"},
    ForeignKey{"metric_for_best_model", "training.early_stopping.metric", "such as worst_group_loss"},
    ForeignKey{"greater_is_better", "training.early_stopping.mode", "min or max"},
    // Evaluation and logging.
    ForeignKey{"eval_steps evals_per_epoch eval_every eval_strategy evaluation_strategy eval_interval val_steps",
               "evaluation.every_steps", "0: before the first step and after the last"},
    ForeignKey{"eval_on_start eval_delay prediction_loss_only batch_eval_metrics include_for_metrics "
               "eval_do_concat_batches eval_use_gather_object include_num_input_tokens_seen include_tokens_per_second "
               "compute_metrics do_eval_on_start",
               "",
               "evaluation.every_steps is all there is; there is always one before the first step and one after the "
               "last"},
    ForeignKey{"use_logits_to_keep use_num_logits_to_keep", "", "logits are computed at scored tokens alone, always"},
    ForeignKey{"tools", "", "the tools of a conversation stand in the data, beside its messages"},
    ForeignKey{"base_model_attribute_name", "", "the layers of a model are known by its family"},
    ForeignKey{"dpo_alpha", "", kNotImplemented},
    ForeignKey{"generate_during_eval do_sample temperature top_p num_beams predict_with_generate", "", kGeneration},
    ForeignKey{"logging_steps logging_strategy log_every log_interval log_steps", "logging.every_steps", ""},
    ForeignKey{"logging_first_step", "", "the first step is always logged, with logging.every_steps: 1"},
    ForeignKey{
        "report_to wandb_project wandb_entity wandb_run_id wandb_name wandb_watch wandb_log_model use_wandb wandb "
        "mlflow_tracking_uri mlflow_experiment_name comet_project_name use_swanlab swanlab_project "
        "project trackio_space_id trackio_bucket_id trackio_static_space_id plot_loss trackio",
        "", kTracker},
    ForeignKey{"use_tensorboard logging_dir tensorboard_dir", "logging.tensorboard: true",
               "TensorBoard's event files, in tensorboard/ of the output"},
    ForeignKey{"run_name experiment_name job_name", "name", "small letters, digits and -"},
    ForeignKey{"log_level log_level_replica disable_tqdm logging_nan_inf_filter log_on_each_node debug "
               "skip_memory_metrics verbose profile",
               "", kProgress},
    // Output.
    ForeignKey{"output_dir save_dir output_path out_dir run_dir", "output", ""},
    ForeignKey{"overwrite_output_dir force", "overwrite", ""},
    ForeignKey{"save_steps checkpoint_every checkpointing_steps save_interval save_every saves_per_epoch",
               "checkpoint.every_steps", "optimiser steps"},
    ForeignKey{"save_total_limit keep_last_n_checkpoints", "checkpoint.keep", "how many of the newest stay"},
    ForeignKey{"resume_from_checkpoint resume auto_resume_from_checkpoints ckpt_path",
               "training.resume_from_checkpoint", "latest or a folder; equipoise train --resume sets it"},
    ForeignKey{
        "save_strategy save_only_model save_on_each_node save_safetensors restore_callback_states_from_checkpoint "
        "enable_jit_checkpoint save_first_step",
        "checkpoint.every_steps", kCheckpoints},
    ForeignKey{"push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push "
               "push_to_hub_model_id push_to_hub_organization export_hub_model_id hf_use_auth_token",
               "", kHub},
    ForeignKey{"do_train do_eval do_predict stage task", "", kOneForm},
    // Ranks.
    ForeignKey{"nproc_per_node num_processes world_size n_gpu num_gpus n_gpus gpus num_nodes np", "launch.workers",
               "ranks over all hosts"},
    ForeignKey{"min_nodes min_nnodes min_np min_replicas min_num_workers", "launch.min_workers",
               "ranks with which the job still goes on"},
    ForeignKey{"max_time time_limit max_train_seconds max_duration", "launch.time_limit_seconds",
               "seconds in RUNNING, after which the job is PAUSED"},
    ForeignKey{"priority_class job_priority qos", "launch.priority", "-1000 to 1000, the highest first"},
    ForeignKey{"local_rank ddp_backend ddp_timeout ddp ddp_find_unused_parameters ddp_bucket_cap_mb "
               "ddp_broadcast_buffers ddp_static_graph ignore_bias_buffers ray_scope master_port master_addr tp_size",
               "", kAllRanks},
    ForeignKey{"fsdp fsdp_config fsdp_min_num_params deepspeed accelerator_config parallelism_config zero_stage "
               "tensor_parallel_size context_parallel_size sequence_parallel_degree strategy",
               "", kNoSharding},
    ForeignKey{"use_cpu no_cuda device use_mps_device cuda", "", kDevice},
    ForeignKey{"<<", "", "YAML's merge key is not read; repeat the settings"},
};

}  // namespace

std::span<const ForeignKey> foreign_keys() { return kKeys; }

}  // namespace equipoise
