#include "worker/training/training_run.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/config/job_file.h"
#include "common/summary/run_files.h"
#include "worker/collective/broadcast.h"
#include "worker/training/checkpoint_reader.h"
#include "worker/training/checkpoint_writer.h"
#include "worker/training/early_stopping.h"
#include "worker/training/group_absence.h"
#include "worker/training/live_settings.h"
#include "worker/training/room_wait.h"
#include "worker/training/run_ledger.h"
#include "worker/training/run_output.h"
#include "worker/training/run_report.h"
#include "worker/training/run_shares.h"
#include "worker/training/weight_sync.h"

namespace equipoise {
namespace {

// While it lives, SIGTERM asks this process to leave at the end of a step: a batch system that takes its nodes back.
class CatchTerminations {
 public:
  CatchTerminations() {
    forget();
    struct sigaction caught {};
    caught.sa_handler = [](int) { is_asked_ = 1; };
    caught.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &caught, &before_);
  }
  ~CatchTerminations() { ::sigaction(SIGTERM, &before_, nullptr); }
  CatchTerminations(const CatchTerminations&) = delete;
  CatchTerminations& operator=(const CatchTerminations&) = delete;

  static bool was_asked() { return is_asked_ != 0; }
  static void forget() { is_asked_ = 0; }

 private:
  static volatile std::sig_atomic_t is_asked_;
  struct sigaction before_ {};
};
volatile std::sig_atomic_t CatchTerminations::is_asked_ = 0;

// Until where the learning rate's schedule goes: changes of the end do not bend it.
ShardPlan plan_for_schedule(const StartedTraining& started) {
  ShardPlan plan = started.plan;
  // Absent in the answer of a coordinator that knows no changes of the end.
  if (started.schedule_steps > 0) plan.end_step = std::max(started.schedule_steps, plan.first_step);
  return plan;
}

class TrainingRun {
 public:
  // `output`, `found`: of rank 0; null on the others.
  TrainingRun(const RunContext& context, std::unique_ptr<TrainedPolicy> policy, std::unique_ptr<RunOutput> output,
              std::optional<FoundCheckpoint> found)
      : context_(context),
        config_(context.config),
        output_(std::move(output)),
        found_(std::move(found)),
        policy_(std::move(policy)),
        checkpoint_(checkpoint_of_rank_0()),
        started_(start()),
        weights_(make_weight_sync(context.client, context.registration.attempt, context.host, config_.robust,
                                  policy_->data(), started_)),
        watch_(config_.training.early_stopping, context.host),
        writer_({.client = context.client,
                 .log = context.log,
                 .attempt = context.registration.attempt,
                 .config = config_,
                 .policy = *policy_,
                 .host = context.host,
                 .local = context.local,
                 .progress = context.heartbeat.progress()}) {}

  void run() {
    policy_->start(schedule_plan_);
    if (checkpoint_) go_on_from_checkpoint();
    open_output();
    // Its files, which may be removed from now on.
    checkpoint_.reset();
    const TrainingEnd end = train();
    if (end.has_left) return leave(end.final_step);
    // Before anything is saved: ranks that have drifted apart have trained no model.
    context_.heartbeat.set_phase(v1::RANK_PHASE_SAVING);  // the digest of a large model takes longer than a step
    const Digest digest = policy_->state_digest();
    check_same_on_all_ranks(context_.host, digest, "set of trained parameters");
    save(end.final_step);
    writer_.finish();
    std::optional<Digest> chain;
    if (is_first()) {
      chain = sign(end.final_step, digest);
      write_files_for_people();
    }
    output_.reset();
    context_.heartbeat.flush();
    finish_rank(context_.client, context_.registration.attempt, context_.host.info().rank, end, digest, chain);
  }

 private:
  bool is_first() const { return context_.host.info().rank == 0; }

  // Every rank calls it; all get what rank 0 has found.
  std::unique_ptr<CheckpointReader> checkpoint_of_rank_0() {
    std::int64_t has_found = found_ ? 1 : 0;
    context_.host.broadcast(std::as_writable_bytes(std::span(&has_found, 1)), 0);
    return has_found == 0 ? nullptr : std::make_unique<CheckpointReader>(found_, context_.host);
  }

  void log_absence() const {
    if (!suffers_from_absence(config_.robust.settings, config_.training)) return;
    const std::string line = absence_line(policy_->data().group_names, policy_->absence_K());
    if (!line.empty()) context_.log.warn("{}", line);
  }

  StartedTraining start() {
    if (is_first()) {
      policy_->announce(context_.log);
      log_absence();
    }
    const EvaluationNumbers expected = expected_numbers(*policy_);
    has_evaluations_ = !expected.empty();
    if (config_.training.early_stopping && has_evaluations_) check_metric(*config_.training.early_stopping, expected);
    policy_->check_same_on_all_ranks();
    StartedTraining started = start_training(context_.client, context_.registration.attempt, policy_->data(),
                                             context_.host, checkpoint_ ? &checkpoint_->manifest() : nullptr);
    if (found_) output_->abandon_later_checkpoints(*found_);
    return started;
  }

  void go_on_from_checkpoint() {
    const CheckpointManifest& manifest = checkpoint_->manifest();
    context_.heartbeat.set_phase(v1::RANK_PHASE_READING_DATA, "reading checkpoint");
    policy_->restore(*checkpoint_);
    is_resumed_ = true;
    applied_ = integer_at(manifest.training, "applied_steps");
    // Checkpoints of earlier versions do not say.
    const bool is_told = manifest.training.contains("last_applied_step");
    last_applied_ = is_told ? integer_at(manifest.training, "last_applied_step") : manifest.step;
    if (!is_first()) return;
    if (config_.training.early_stopping) watch_.restore(object_at(manifest.training, "early_stopping"));
    context_.log.info("goes on from step {} of {}", manifest.step, found_->folder.string());
  }

  void open_output() {
    if (!is_first()) return;
    const v1::JobSpec& spec = context_.registration.spec;
    std::int64_t kept_bytes = 0;
    LedgerOpening opening = ledger_opening();
    if (!found_) {
      room_.keep_trying([&] { output_->prepare(spec, plan_); });
    } else {
      RunOutput::Beginnings before;
      room_.keep_trying([&] { before = output_->prepare(spec, plan_, *found_); });
      if (before.metrics.empty()) {
        kept_bytes = found_->manifest.metrics_bytes;
      } else {
        context_.log.warn(
            "metrics.jsonl is not as the checkpoint of step {} knew it, and begins again there; lines before "
            "are in {}",
            found_->manifest.step, before.metrics);
      }
      opening.is_kept = before.ledger.empty() && !begins_fork();
      if (!opening.is_kept && !begins_fork() && found_->manifest.ledger_bytes > 0) {
        context_.log.warn(
            "the ledger is not as the checkpoint of step {} knew it, and begins again there; what was before is in {}",
            found_->manifest.step, before.ledger);
      }
    }
    room_.keep_trying([&] { ledger_ = open_ledger(config_.output, opening); });
    ledger_->set_patience(room_.patience());
    output_->watch(kLedgerName);
    weights_->record_into(*ledger_);
    writer_.record_into(*ledger_);
    bool has_report = false;
    room_.keep_trying([&] { has_report = policy_->write_data_report(config_.output / "data.json"); });
    if (has_report) output_->watch("data.json");
    room_.keep_trying([&] {
      report_ = std::make_unique<RunReport>(
          RunReport::Parts{.client = context_.client,
                           .log = context_.log,
                           .attempt = context_.registration.attempt,
                           .config = config_,
                           .policy = *policy_,
                           .weights = *weights_,
                           .patience = room_.patience()},
          TensorboardFile::Beginning{.steps_done = plan_.first_step, .kept_bytes = kept_bytes});
    });
    if (found_) report_->restore(object_at(found_->manifest.training, "totals"));
    output_->watch(std::string(metrics_schema::kFileName));
    if (keeps_pair_shares(config_) && !policy_->share_files().empty()) {
      shares_.emplace(config_, *policy_, *weights_, context_.log, room_.patience());
    }
  }

  // With a checkpoint of another job, which had other settings: its ledger is computed again with its own.
  bool begins_fork() const {
    return context_.registration.is_fork && found_->manifest.job_id != context_.registration.attempt.job_id;
  }

  // Views of what lives as long as this. Rank 0.
  LedgerOpening ledger_opening() const {
    return {.author = author_,
            .robust = config_.robust,
            .settings = config_.ledger,
            .data = policy_->data(),
            .started = started_,
            .checkpoint = found_ ? &*found_ : nullptr,
            .is_kept = false};
  }

  // The last record, once nothing more is written into the output. Rank 0.
  Digest sign(std::int64_t final_step, const Digest& state) {
    output_->check_now();
    close_ledger_block(final_step);
    return finish_ledger(*ledger_, config_.output, ledger_opening(),
                         {.final_step = final_step,
                          .state = state,
                          .alpha_K = report_->alpha_K(),
                          .files = {},
                          .metrics_bytes = report_->file().bytes(),
                          .metrics_sha256 = report_->file().sha256()},
                         room_.patience(), [this](std::int64_t /*bytes*/) { context_.heartbeat.progress().advance(); });
  }

  // Nothing that they could lack is worth a trained model. Rank 0, while the output is still its own.
  void write_files_for_people() const {
    try {
      write_run_files({.run = config_.output,
                       .into = {},
                       .existing_card = ExistingCard::kReplaced,
                       .on_bytes = [this](std::int64_t /*bytes*/) { context_.heartbeat.progress().advance(); }});
    } catch (const std::exception& failure) {
      context_.log.warn(
          "the model card, trainer_state.json or report.html could not be written: {}; `equipoise report {}` makes "
          "them",
          failure.what(), config_.output.string());
    }
  }

  TrainingEnd train() {
    TrainingEnd end{.final_step = plan_.end_step};
    // The evaluation of a checkpoint's step was before it.
    const auto stopped = is_resumed_ ? watch_.stop() : evaluate(plan_.first_step);
    if (is_resumed_ && stopped && plan_.first_step < plan_.end_step) {
      end = {.final_step = plan_.first_step, .stopped_early = stopped};
    }
    context_.heartbeat.set_phase(v1::RANK_PHASE_TRAINING);
    const CatchTerminations catching;
    for (std::int64_t step = plan_.first_step; step < end.final_step; ++step) {
      context_.heartbeat.check();
      apply_settings_due(step);
      const StepOutcome outcome = policy_->step(step, *weights_);
      context_.heartbeat.set_step(step + 1);
      if (!outcome.is_skipped) {
        ++applied_;
        last_applied_ = step + 1;
      }
      if (report_) report_->step_done(step + 1, outcome);
      check_not_stuck(step + 1);
      if (shares_) shares_->step_done(step + 1, policy_->last_shares());
      if (output_) output_->check();
      if (is_evaluation_step(step + 1)) {
        const auto stop = evaluate(step + 1);
        if (stop && step + 1 < plan_.end_step) end = {.final_step = step + 1, .stopped_early = stop};
        context_.heartbeat.set_phase(v1::RANK_PHASE_TRAINING);
      }
      const StepEnd what = end_of_step(step + 1, step + 1 == end.final_step);
      if (what.evaluates || started_.asked_evaluations.contains(step + 1)) show_evaluation(step + 1);
      if (what.makes_checkpoint) make_checkpoint(step + 1);
      if (step + 1 == end.final_step) break;
      if (what.leaves && checkpoint_is_whole()) {
        end = {.final_step = step + 1, .has_left = true};
      } else if (what.settings_version > 0) {
        take_settings(step + 1, what.settings_version);
        end.final_step = plan_.end_step;
      }
    }
    weights_->finish();
    if (report_) report_->finish();
    if (shares_) shares_->write();
    if (!end.has_left) check_applied(end.final_step);
    end.skipped_steps = end.final_step - applied_;
    return end;
  }

  // What all ranks do after a step: what one of them wishes.
  struct StepEnd {
    bool makes_checkpoint = false;
    bool leaves = false;  // after the checkpoint
    bool evaluates = false;
    std::int64_t settings_version = 0;  // of a change that is to take effect; 0: none
  };
  StepEnd end_of_step(std::int64_t steps_done, bool is_last) {
    // A run that has made some ends with one, from which more steps can follow.
    const bool is_due = writer_.is_due(steps_done) || (is_last && writer_.has_begun_any());
    if (steps_done < next_talk_) return {.makes_checkpoint = is_due};
    if (ledger_) ledger_watch_.look(*ledger_, steps_done);
    const bool wants_checkpoint = is_first() && (writer_.is_late() || context_.heartbeat.wants_checkpoint());
    const bool wants_to_leave = (is_first() && context_.heartbeat.wants_pause()) || CatchTerminations::was_asked();
    const bool wants_evaluation = is_first() && context_.heartbeat.wants_evaluation();
    std::array<double, 6> wishes{
        wants_checkpoint ? 1.0 : 0.0,     wants_to_leave ? 1.0 : 0.0,
        writer_.is_writing() ? 1.0 : 0.0, is_first() ? static_cast<double>(next_interval()) : 0.0,
        wants_evaluation ? 1.0 : 0.0,     is_first() ? static_cast<double>(wanted_version()) : 0.0};
    context_.host.all_reduce_sum(wishes);
    talk_interval_ = static_cast<std::int64_t>(wishes[3]);
    next_talk_ = steps_done + talk_interval_;
    if (wishes[2] == 0) writer_.gather_written();
    return {.makes_checkpoint = is_due || wishes[0] > 0 || wishes[1] > 0,
            .leaves = wishes[1] > 0,
            .evaluates = wishes[4] > 0,
            .settings_version = static_cast<std::int64_t>(wishes[5])};
  }

  // Of a change of settings that has not taken effect yet.
  std::int64_t wanted_version() const {
    const std::int64_t newest = context_.heartbeat.settings_version();
    return newest > settings_.version() ? newest : 0;
  }

  // All reports are with the coordinator, which records from which step on the settings hold, before any rank does it.
  void take_settings(std::int64_t steps_done, std::int64_t version) {
    v1::ApplySettingsResponse answer;
    if (is_first()) {
      report_->write_lines();
      weights_->settle();
      answer = apply_settings(context_.client, context_.registration.attempt, steps_done, version);
    }
    broadcast_message(answer, 0, context_.host);
    settings_.add(answer.settings_changes());
    started_.plan.end_step = answer.end_step();
  }

  // Also of changes that an attempt before had from this step on.
  void apply_settings_due(std::int64_t steps_done) {
    const auto due = settings_.due(steps_done);
    if (!due) return;
    if (is_first()) {
      weights_->settle();
      close_ledger_block(steps_done);
    }
    weights_->apply(*due);
    if (ledger_) ledger_->settings(ledger_settings(settings_.version(), steps_done, *due));
    show_settings(steps_done);
    if (due->has_learning_rate()) policy_->set_learning_rate(due->learning_rate());
    const std::string text = settings_text(*due);
    if (is_first() && !text.empty()) context_.log.info("from step {} on: {}", steps_done, text);
  }

  // Their lines in metrics.jsonl.
  void show_settings(std::int64_t steps_done) {
    if (!report_) return;
    v1::TrainingJobSettings before;
    before.set_trade_off(config_.robust.settings.trade_off);
    before.set_step_size(config_.robust.settings.step_size);
    before.set_learning_rate(config_.optimizer.learning_rate);
    before.set_max_steps(schedule_plan_.end_step);
    before.MergeFrom(settings_.before(steps_done));
    // The spec of a fork has the new value, and the job of the checkpoint is another one's.
    const bool is_known = steps_done > plan_.first_step || !found_ || !begins_fork();
    for (const StartedSetting& one : settings_.started(steps_done)) {
      ChangedSetting changed{.setting = one.field->name(),
                             .from = {},
                             .to = setting_number(one.change->settings(), *one.field),
                             .version = one.change->version(),
                             .requester = one.change->requester()};
      if (is_known) changed.from = setting_number(before, *one.field);
      report_->setting_changed(steps_done, changed);
    }
  }

  // Steps until ranks talk again: those of a fifth of a second, as rank 0 has seen them.
  std::int64_t next_interval() {
    constexpr double kWanted = 0.2;
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::max(std::chrono::duration<double>(now - talked_at_).count(), 1e-6);
    talked_at_ = now;
    const double most = static_cast<double>(std::min(policy_->most_steps_between_talks(), 2 * talk_interval_));
    return static_cast<std::int64_t>(std::clamp(static_cast<double>(talk_interval_) * kWanted / seconds, 1.0, most));
  }

  // Of the last step: ranks leave only where all that they have done is kept.
  bool checkpoint_is_whole() {
    context_.heartbeat.set_phase(v1::RANK_PHASE_CHECKPOINT);
    if (writer_.finish()) return true;
    CatchTerminations::forget();
    if (is_first()) context_.heartbeat.pause_failed("its checkpoint could not be written");
    context_.heartbeat.set_phase(v1::RANK_PHASE_TRAINING);
    return false;
  }

  // Where steps have no records of their own, the ledger has the weights after them. All are reported. Rank 0.
  void close_ledger_block(std::int64_t steps_done) {
    if (!ledger_->has_block()) return;
    ledger_->close_block(steps_done,
                         weights_at_coordinator(context_.client, context_.registration.attempt, steps_done));
  }

  // All that the checkpoint counts on is sealed with it.
  void seal_where_possible() {
    if (!ledger_) return;
    try {
      ledger_->seal();
    } catch (const std::exception& failure) {
      context_.log.warn("{}", failure.what());
    }
  }

  void leave(std::int64_t steps_done) {
    seal_where_possible();  // the output is another attempt's then
    output_.reset();
    context_.log.info("leaves after step {}, of which there is a checkpoint", steps_done);
    context_.heartbeat.flush();
    leave_attempt(context_.client, context_.registration.attempt, context_.host.info().rank, steps_done);
  }

  void make_checkpoint(std::int64_t steps_done) {
    RankProgress& progress = context_.heartbeat.progress();
    // With the next heartbeat only: most checkpoints are begun within milliseconds.
    progress.set_phase(v1::RANK_PHASE_CHECKPOINT);
    context_.heartbeat.checkpoint_begins();
    writer_.finish_earlier();
    CheckpointManifest manifest;
    if (is_first()) {
      report_->write_lines();
      weights_->settle();
      const GroupWeightsState weights =
          weights_at_coordinator(context_.client, context_.registration.attempt, steps_done);
      if (shares_) shares_->write();
      ledger_->close_block(steps_done, weights);
      const LedgerPosition sealed = ledger_->seal();
      manifest = {.program = std::string(context_.program),
                  .job_id = context_.registration.attempt.job_id,
                  .generation = context_.registration.attempt.generation,
                  .step = steps_done,
                  .time = {},
                  .job = resolved_job_,
                  .plan = plan_,
                  .dataset = policy_->data().digest,
                  .weights = weights,
                  .training = {{"applied_steps", applied_},
                               {"last_applied_step", last_applied_},
                               {"totals", report_->state()},
                               {"early_stopping", watch_.state()}},
                  .policy = policy_->checkpoint_state(),
                  .metrics_bytes = report_->file().bytes(),
                  .metrics_sha256 = report_->file().sha256(),
                  .ledger_bytes = sealed.bytes,
                  .ledger_chain = sealed.chain,
                  .files = {}};
    }
    writer_.make(std::move(manifest));
    progress.set_phase(v1::RANK_PHASE_TRAINING);
  }

  // A policy that nothing can change any more would train to the end of its time for nothing. Alike on all ranks.
  void check_not_stuck(std::int64_t steps_done) const {
    constexpr std::int64_t kMostSkippedInARow = 100;
    if (steps_done - last_applied_ < kMostSkippedInARow) return;
    refuse_to_go_on("none of the last " + std::to_string(kMostSkippedInARow),
                    "each of them; the last one that could was step " + std::to_string(last_applied_));
  }
  void check_applied(std::int64_t steps) const {
    if (steps > 0 && applied_ == 0) refuse_to_go_on("none of " + std::to_string(steps), "each of them");
    if (2 * applied_ >= steps || !is_first()) return;
    context_.log.warn("only {} of {} steps could be applied: a loss or the gradient was not finite in the others",
                      applied_, steps);
  }
  [[noreturn]] static void refuse_to_go_on(const std::string& applied, const std::string& skipped) {
    throw std::runtime_error(applied + " steps could be applied: a loss or the gradient was not finite in " + skipped);
  }

  bool is_evaluation_step(std::int64_t steps_done) const {
    if (steps_done == plan_.end_step) return true;
    return config_.evaluation_every_steps > 0 && steps_done % config_.evaluation_every_steps == 0;
  }

  // Why training ends with this evaluation, if it does.
  std::optional<v1::EarlyStop> evaluate(std::int64_t steps_done) {
    context_.heartbeat.evaluation_begins();
    if (!has_evaluations_) return std::nullopt;
    context_.heartbeat.set_phase(v1::RANK_PHASE_EVALUATING);
    const std::vector<ValidationMeans> evaluation = policy_->evaluate();
    const EvaluationNumbers numbers = report_ ? report_->evaluated(steps_done, evaluation) : EvaluationNumbers();
    const EvaluationVerdict verdict = watch_.judge(steps_done, numbers);
    policy_->observe_evaluation(verdict.worst_group_loss);
    const auto& stopping = config_.training.early_stopping;
    if (is_first() && verdict.is_best && stopping && stopping->keep_best) policy_->keep();
    return verdict.stop;
  }

  // One that people have asked for. Neither the learning rate nor early stopping hears of it: what a run becomes does
  // not depend on who looks at it.
  void show_evaluation(std::int64_t steps_done) {
    context_.heartbeat.evaluation_begins();
    if (!has_evaluations_ || is_evaluation_step(steps_done)) return;
    context_.heartbeat.set_phase(v1::RANK_PHASE_EVALUATING);
    const std::vector<ValidationMeans> evaluation = policy_->evaluate();
    if (report_) report_->evaluated(steps_done, evaluation);
    context_.heartbeat.set_phase(v1::RANK_PHASE_TRAINING);
  }

  void save(std::int64_t final_step) {
    context_.heartbeat.set_phase(v1::RANK_PHASE_SAVING);
    if (!is_first()) return;
    output_->check_now();
    room_.keep_trying([this] { policy_->save(config_.output / "final", report_->alpha_K()); });
    output_->watch("final");
    output_->discard_previous();
    if (const auto test = policy_->test()) report_->tested(final_step, *test);
  }

  const RunContext& context_;
  const JobConfig& config_;
  const std::string resolved_job_ = job_spec_to_yaml(resolve_defaults(context_.registration.spec, config_));
  const LedgerAuthor author_{.program = std::string(context_.program),
                             .attempt = context_.registration.attempt,
                             .device = context_.device,
                             .threads = context_.threads,
                             .job = resolved_job_};
  // Of rank 0, for all that it writes but checkpoints: without one training goes on.
  RoomWait room_{{.log = context_.log,
                  .tell = [this](bool waits) { context_.heartbeat.set_waits_for_room(waits); },
                  .check =
                      [this] {
                        context_.heartbeat.progress().advance();
                        context_.heartbeat.check();
                      }}};
  std::unique_ptr<RunOutput> output_;     // rank 0
  std::optional<FoundCheckpoint> found_;  // rank 0
  std::unique_ptr<TrainedPolicy> policy_;
  std::unique_ptr<CheckpointReader> checkpoint_;  // that it goes on from; null: from the start
  bool is_resumed_ = false;
  std::int64_t applied_ = 0;       // steps that were not skipped
  std::int64_t last_applied_ = 0;  // steps done with the newest of them
  std::int64_t next_talk_ = 0;     // steps done
  std::int64_t talk_interval_ = 1;
  std::chrono::steady_clock::time_point talked_at_ = std::chrono::steady_clock::now();
  bool has_evaluations_ = false;
  StartedTraining started_;
  const ShardPlan& plan_ = started_.plan;  // whose end people may move
  const ShardPlan schedule_plan_ = plan_for_schedule(started_);
  LiveSettings settings_{started_.settings_changes};
  std::unique_ptr<LedgerWriter> ledger_;  // rank 0; before those that write into it
  LedgerWatch ledger_watch_{context_.log, config_.ledger};
  std::unique_ptr<WeightSync> weights_;
  EvaluationWatch watch_;
  std::unique_ptr<RunReport> report_;  // rank 0
  std::optional<RunShares> shares_;    // rank 0, where they are kept
  CheckpointWriter writer_;
};

std::optional<FoundCheckpoint> find_checkpoint_of(const RunContext& context) {
  const Registration& registration = context.registration;
  const auto show_progress = [&](int percent) {
    context.heartbeat.check();
    context.heartbeat.set_phase(v1::RANK_PHASE_READING_DATA, "verifying checkpoint, " + std::to_string(percent) + " %");
  };
  return find_checkpoint(context.config, resolve_defaults(registration.spec, context.config),
                         {.job_id = registration.attempt.job_id,
                          .generation = registration.attempt.generation,
                          .is_fork = registration.is_fork},
                         context.log, show_progress);
}

// Reading a large checkpoint may take longer than ranks wait for each other: meanwhile they hear of each other.
std::optional<FoundCheckpoint> find_while_ranks_wait(const RunContext& context) {
  std::future<std::optional<FoundCheckpoint>> finding;
  if (context.host.info().rank == 0) finding = std::async(std::launch::async, find_checkpoint_of, std::cref(context));
  RankProgress& progress = context.heartbeat.progress();
  wait_until_all(context.host, [&finding, &progress] {
    const bool is_done = !finding.valid() || finding.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    progress.set_works_aside(!is_done);
    return is_done;
  });
  return finding.valid() ? finding.get() : std::nullopt;
}

}  // namespace

void run_training(const RunContext& context, const PolicyLoader& load_policy) {
  // The folder is taken before anything is read.
  std::unique_ptr<RunOutput> output;
  if (context.host.info().rank == 0) {
    output = std::make_unique<RunOutput>(context.config, context.registration.attempt.job_id);
  }
  std::optional<FoundCheckpoint> found = find_while_ranks_wait(context);
  TrainingRun(context, load_policy(context), std::move(output), std::move(found)).run();
}

}  // namespace equipoise
