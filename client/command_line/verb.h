// How a verb joins the command line: it declares its arguments on a parser and, once it was named there, says what
// to do.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "client/console/console.h"

namespace equipoise {

// What the command does once all arguments are read. Throws CommandError, std::invalid_argument or PeerError.
using Action = std::function<void(const Console&)>;

// Each declares a verb, and its sub-verbs, on `parent`. `chosen` is set when one is named; it outlives `parent`.
void add_train_verb(CLI::App& parent, Action& chosen);
void add_submit_verb(CLI::App& parent, Action& chosen);
void add_jobs_verb(CLI::App& parent, Action& chosen);
void add_hosts_verb(CLI::App& parent, Action& chosen);
void add_checkpoints_verb(CLI::App& parent, Action& chosen);
void add_data_verb(CLI::App& parent, Action& chosen);
void add_model_verb(CLI::App& parent, Action& chosen);
void add_evaluate_verb(CLI::App& parent, Action& chosen);
void add_export_verb(CLI::App& parent, Action& chosen);
void add_compare_verb(CLI::App& parent, Action& chosen);
void add_convert_verb(CLI::App& parent, Action& chosen);
void add_completion_verb(CLI::App& parent, Action& chosen);
void add_doctor_verb(CLI::App& parent, Action& chosen);
void add_verify_verb(CLI::App& parent, Action& chosen);
void add_explain_verb(CLI::App& parent, Action& chosen);
void add_report_verb(CLI::App& parent, Action& chosen);
void add_token_verb(CLI::App& parent, Action& chosen);
void add_version_verb(CLI::App& parent, Action& chosen);

// "equipoise 0.1.0 (revision ...), gRPC ..., Protobuf ...".
std::string version_text();

// The sub-verbs of `jobs`.
void add_jobs_list_verb(CLI::App& parent, Action& chosen);
void add_jobs_get_verb(CLI::App& parent, Action& chosen);
void add_jobs_watch_verb(CLI::App& parent, Action& chosen);
void add_jobs_pause_verb(CLI::App& parent, Action& chosen);
void add_jobs_resume_verb(CLI::App& parent, Action& chosen);
void add_jobs_checkpoint_verb(CLI::App& parent, Action& chosen);
void add_jobs_evaluate_verb(CLI::App& parent, Action& chosen);
void add_jobs_set_verb(CLI::App& parent, Action& chosen);
void add_jobs_fork_verb(CLI::App& parent, Action& chosen);
void add_jobs_tree_verb(CLI::App& parent, Action& chosen);
void add_jobs_cancel_verb(CLI::App& parent, Action& chosen);
void add_jobs_delete_verb(CLI::App& parent, Action& chosen);
void add_jobs_ranks_verb(CLI::App& parent, Action& chosen);
void add_jobs_weights_verb(CLI::App& parent, Action& chosen);
void add_jobs_attempts_verb(CLI::App& parent, Action& chosen);
void add_jobs_checkpoints_verb(CLI::App& parent, Action& chosen);
void add_jobs_events_verb(CLI::App& parent, Action& chosen);
void add_jobs_report_verb(CLI::App& parent, Action& chosen);

// The sub-verbs of `data`.
void add_data_import_verb(CLI::App& parent, Action& chosen);
void add_data_check_verb(CLI::App& parent, Action& chosen);
void add_data_generate_verb(CLI::App& parent, Action& chosen);
void add_data_log_linear_verb(CLI::App& parent, Action& chosen);

}  // namespace equipoise
