#include "coordinator/job/training_jobs.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>
#include <utility>

#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/job_filter.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/live_settings.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/step_history.h"

namespace equipoise::coordinator {
namespace {

std::set<int> checked_states(const v1::ListTrainingJobsRequest& request) {
  std::set<int> states;
  for (const int state : request.states()) {
    if (!v1::JobState_IsValid(state) || state == v1::JOB_STATE_UNSPECIFIED) {
      throw std::invalid_argument("states has " + std::to_string(state) + ", expected values of JobState");
    }
    states.insert(state);
  }
  return states;
}

std::string list_name(const std::set<int>& states, const std::string& filter) {
  std::string name = "jobs";
  for (const int state : states) name.append(" ").append(std::to_string(state));
  if (!filter.empty()) name.append(" where ").append(filter);
  return name;
}

v1::GroupWeightRecord history_record(const StepRecord& step, const std::vector<double>& alpha_K) {
  v1::GroupWeightRecord record;
  record.set_step(step.request.step());
  record.set_generation(step.request.generation());
  *record.mutable_group() = step.request.group();
  *record.mutable_loss_sum() = step.request.loss_sum();
  *record.mutable_pair_count() = step.request.pair_count();
  record.mutable_alpha()->Add(alpha_K.begin(), alpha_K.end());
  record.mutable_group_loss()->Add(step.group_loss_K.begin(), step.group_loss_K.end());
  return record;
}

}  // namespace

TrainingJobs::TrainingJobs(JobLimits limits, JobTable& table, OutputFolders& outputs,
                           const AttemptSupervisor& supervisor, RandomSource& random_source)
    : limits_(limits),
      table_(table),
      requests_(table),
      outputs_(outputs),
      supervisor_(supervisor),
      random_source_(random_source),
      tokens_(table.store().signing_key()) {}

void TrainingJobs::check_limits() {
  if (supervisor_.is_shutting_down()) throw Refusal(Refusal::Code::kUnavailable, "the coordinator is shutting down");
  const auto& jobs = table_.jobs();
  if (jobs.size() >= limits_.jobs) {
    throw Refusal(Refusal::Code::kResourceExhausted,
                  "there are " + std::to_string(jobs.size()) + " jobs, as many as there may be; delete some");
  }
  const auto queued = static_cast<std::size_t>(
      std::ranges::count_if(jobs, [](const auto& entry) { return entry.second.job.state() == v1::JOB_STATE_QUEUED; }));
  if (queued < limits_.queued) return;
  throw Refusal(Refusal::Code::kResourceExhausted,
                "there are " + std::to_string(queued) + " jobs in the queue, as many as there may be");
}

std::string TrainingJobs::new_id(const std::string& name) {
  constexpr std::size_t kIdBytes = 4;
  std::string id;
  do {
    id = name + "-" + random_source_.hex(kIdBytes);
  } while (table_.contains(id) || in_making_.contains(id) || table_.store().deleted().contains(id));
  return id;
}

namespace {

// What the checkpoint's state has another value of takes effect with the first step.
void set_origin(const ForkOrigin& origin, const std::string& requester, v1::TrainingJob& job) {
  job.set_parent_id(origin.job_id);
  job.set_parent_step(origin.step);
  if (origin.to_set.ByteSizeLong() == 0) return;
  v1::SettingsChange& change = *job.add_settings_changes();
  change.set_version(1);
  *change.mutable_settings() = origin.to_set;
  *change.mutable_create_time() = job.create_time();
  change.set_requester(requester);
}

}  // namespace

JobMaking TrainingJobs::begin(const v1::CreateTrainingJobRequest& request, const std::string& requester) {
  JobMaking making;
  making.answer = requests_.first_answer("CreateTrainingJob", request);
  if (making.answer) return making;
  making.request = request;
  making.requester = requester;
  check(making);
  return making;
}

// What can be said without a look at any file.
void TrainingJobs::check(JobMaking& making) {
  const v1::CreateTrainingJobRequest& request = making.request;
  if (!request.has_spec()) throw std::invalid_argument("spec is absent, expected a JobSpec");
  if (request.spec().ByteSizeLong() > limits_.spec_bytes) {
    throw std::invalid_argument("spec has " + std::to_string(request.spec().ByteSizeLong()) +
                                " bytes, expected at most " + std::to_string(limits_.spec_bytes));
  }
  making.config = make_job_config(request.spec());
  const LaunchConfig& launch = making.config.launch;
  if (launch.mode == LaunchMode::kCoordinator) supervisor_.check_fits(launch.workers.value_or(1));
  check_limits();
}

void TrainingJobs::note(const v1::CreateTrainingJobRequest& request, JobMaking& making) {
  making.answer = requests_.first_answer("CreateTrainingJob", request);
  if (!making.answer) note(making);
}

void TrainingJobs::note(const v1::ForkTrainingJobRequest& request, JobMaking& making) {
  making.answer = requests_.first_answer("ForkTrainingJob", request);
  if (making.answer) return;
  note(making);
  drawn_names_->add(making.links->name);
  remove_unused_links(table_.errands(), making.links->output, table_.jobs(), drawn_names_);
}

void TrainingJobs::note(JobMaking& making) {
  const v1::CreateTrainingJobRequest& request = making.request;
  if (request.validate_only()) return;
  const auto is_same = [&](const auto& other) { return other.second == request.request_id(); };
  if (!request.request_id().empty() && std::ranges::any_of(in_making_, is_same)) {
    throw Refusal(Refusal::Code::kUnavailable, ErrorReason::kFilesUnreachable,
                  "the first call with request_id \"" + request.request_id() +
                      "\" still waits for files of its job; try again later");
  }
  making.id = new_id(making.config.name);
  in_making_.emplace(making.id, request.request_id());
}

v1::TrainingJob TrainingJobs::finish(const v1::CreateTrainingJobRequest& request, JobMaking& making) {
  return requests_.once("CreateTrainingJob", request, [&] { return stored(making); });
}

v1::TrainingJob TrainingJobs::finish(const v1::ForkTrainingJobRequest& request, JobMaking& making) {
  return requests_.once("ForkTrainingJob", request, [&] {
    static_cast<void>(table_.find(request.id()));  // it may have been deleted meanwhile
    return stored(making);
  });
}

v1::TrainingJob TrainingJobs::stored(JobMaking& making) {
  check_limits();  // others have been served meanwhile
  const JobConfig& config = making.config;
  v1::TrainingJob job;
  *job.mutable_spec() = making.request.spec();
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_priority(config.launch.priority);
  job.set_state_reason(config.launch.mode == LaunchMode::kExternal ? "waiting for its workers to register"
                                                                   : "waiting for a free place");
  *job.mutable_create_time() = timestamp(table_.clock().wall());
  if (making.origin) set_origin(*making.origin, making.requester, job);
  add_planned_changes(making.request, config, making.requester, job);
  if (making.id.empty()) return job;
  job.set_id(making.id);
  job.set_revision(1);
  v1::TrainingJob answer = table_.insert(job, config).job;
  outputs_.keep(making.id, std::move(making.lock));
  in_making_.erase(making.id);
  return answer;
}

void TrainingJobs::abandon(const JobMaking& making) {
  if (in_making_.erase(making.id) > 0) outputs_.release(making.id);
}

v1::ListTrainingJobsResponse TrainingJobs::list(const v1::ListTrainingJobsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 50, .largest = 1000});
  const std::set<int> states = checked_states(request);
  const JobFilter filter(request.filter());
  const std::string list = list_name(states, request.filter());
  const auto begin = tokens_.position(list, request.page_token());
  auto& jobs = table_.jobs();
  auto entry = std::make_reverse_iterator(begin ? jobs.upper_bound(*begin) : jobs.end());
  v1::ListTrainingJobsResponse response;
  std::size_t bytes = 0;
  for (; entry != jobs.rend(); ++entry) {
    const auto& [sequence, record] = *entry;
    if (!states.empty() && !states.contains(record.job.state())) continue;
    if (!filter.holds(record.job)) continue;
    bytes += record.job.ByteSizeLong();
    const bool is_full = response.jobs_size() == page_size || (response.jobs_size() > 0 && bytes > limits_.page_bytes);
    if (is_full) {
      response.set_next_page_token(tokens_.make(list, sequence));
      break;
    }
    *response.add_jobs() = record.job;
  }
  return response;
}

v1::TrainingJob TrainingJobs::cancel(const std::string& id) {
  JobRecord& record = table_.find(id);
  if (is_final(record.job.state()) && record.job.state() != v1::JOB_STATE_CANCELLED) {
    throw Refusal(Refusal::Code::kFailedPrecondition,
                  "job " + id + " is " + state_name(record.job.state()) + "; a job that has ended cannot be cancelled");
  }
  // Its processes are ended also where this cannot be stored, and is not acknowledged therefore.
  table_.settle(record, CancelRequested{.has_processes = supervisor_.has_processes(id)});
  table_.store_unstored(record);
  return record.job;
}

namespace {

[[noreturn]] void refuse_wish(const JobRecord& record, const std::string& why) {
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + record.job.id() + " is " + state_name(record.intended().state) + "; " + why);
}

// `wish`: "paused".
void check_goes_on_at_all(const JobRecord& record, const std::string& wish) {
  const v1::JobState state = record.intended().state;
  if (is_final(state)) refuse_wish(record, "a job that has ended cannot be " + wish);
  if (state == v1::JOB_STATE_CANCELLING) refuse_wish(record, "a job that is being cancelled cannot be " + wish);
}

}  // namespace

v1::TrainingJob TrainingJobs::pause(const std::string& id) {
  JobRecord& record = table_.find(id);
  check_goes_on_at_all(record, "paused");
  table_.apply(record, PauseRequested{.has_processes = supervisor_.has_processes(id)});
  return record.job;
}

v1::TrainingJob TrainingJobs::resume(const std::string& id) {
  JobRecord& record = table_.find(id);
  check_goes_on_at_all(record, "resumed");
  table_.apply(record, ResumeRequested{});
  return record.job;
}

namespace {

// `what`: "make a checkpoint".
void check_trains(const JobRecord& record, const std::string& what) {
  const JobLifecycle& job = record.intended();
  if (job.state != v1::JOB_STATE_RUNNING) refuse_wish(record, "only a RUNNING job can " + what);
  if (job.left_at_step || job.all_ranks_finished) refuse_wish(record, "its ranks have ended already");
}

}  // namespace

v1::TrainingJob TrainingJobs::checkpoint(const std::string& id) {
  JobRecord& record = table_.find(id);
  check_trains(record, "make a checkpoint");
  v1::TrainingJob job = record.job;
  v1::OpenRequests& open = *job.mutable_open_requests();
  open.set_checkpoints(open.checkpoints() + 1);
  open.set_checkpoint_step(job.step());
  return keep_request(record, std::move(job), "a checkpoint");
}

v1::TrainingJob TrainingJobs::evaluate(const std::string& id) {
  JobRecord& record = table_.find(id);
  check_trains(record, "evaluate");
  if (validation_files(record.checked_config().data).empty()) {
    refuse_wish(record, "it has no validation pairs (data.validation) to evaluate");
  }
  v1::TrainingJob job = record.job;
  v1::OpenRequests& open = *job.mutable_open_requests();
  open.set_evaluations(open.evaluations() + 1);
  open.set_evaluation_step(std::max(open.evaluation_step(), job.step()));  // one before a rewind is of a later step
  return keep_request(record, std::move(job), "an evaluation");
}

v1::TrainingJob TrainingJobs::keep_request(JobRecord& record, v1::TrainingJob job, const std::string& what) {
  table_.check_room();
  const std::string event = what + " was asked for at step " + std::to_string(job.step());
  table_.replace(record, std::move(job), event);
  return record.job;
}

void TrainingJobs::remove(const std::string& id) {
  const JobRecord& record = table_.find(id);
  if (!is_final(record.job.state())) {
    throw Refusal(Refusal::Code::kFailedPrecondition,
                  "job " + id + " is " + state_name(record.job.state()) + "; cancel it before it is deleted");
  }
  const auto config = record.config ? std::optional(*record.config) : std::nullopt;
  const bool is_fork = !record.job.parent_id().empty(), has_checkpoints = record.job.has_checkpoint_step();
  table_.erase(id);
  if (config && is_fork) remove_links(table_.errands(), *config);
  if (config && has_checkpoints) remove_unused_links(table_.errands(), config->output, table_.jobs(), drawn_names_);
}

void TrainingJobs::remove(const v1::DeleteTrainingJobRequest& request) {
  requests_.once("DeleteTrainingJob", request, [&] {
    remove(request.id());
    v1::TrainingJob deleted;
    deleted.set_id(request.id());
    return deleted;
  });
}

v1::ListGroupWeightsResponse TrainingJobs::group_weights(const v1::ListGroupWeightsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 1000, .largest = 10000});
  static_cast<void>(table_.find(request.id()));
  const std::string list = "weights " + request.id();
  const std::int64_t first = tokens_.position(list, request.page_token()).value_or(0);
  WeightPage page = weight_page(request.id(), first, page_size);
  if (page.next_step) page.response.set_next_page_token(tokens_.make(list, *page.next_step));
  return std::move(page.response);
}

v1::ListGroupWeightsResponse TrainingJobs::group_weights_from(const std::string& id, std::int64_t first, int most) {
  return weight_page(id, first, most).response;
}

TrainingJobs::WeightPage TrainingJobs::weight_page(const std::string& id, std::int64_t first, int page_size) {
  const JobRecord& record = table_.find(id);
  WeightPage page;
  v1::ListGroupWeightsResponse& response = page.response;
  const auto training = table_.store().newest_training(id);
  if (!training) return page;
  response.mutable_group_names()->CopyFrom(training->request.group_names());
  StepHistory history(table_.store(), record.checked_config(), id, record.job.settings_changes());
  const HistoryExtent extent = table_.store().step_rows().extent(id);
  if (extent.thinned_end > 0) {
    response.set_thinned_end(extent.thinned_end);
    response.set_thinned_spacing(extent.spacing);
  }
  // Of each step the answer has alpha, and perhaps a loss, of every group.
  const auto num_groups = static_cast<std::size_t>(std::max(1, training->request.group_names_size()));
  const auto most = static_cast<std::int64_t>(1 + limits_.page_bytes / (num_groups * sizeof(double)));
  const PageLimit limit{.rows = std::min<std::int64_t>(page_size, most) + 1, .bytes = limits_.page_bytes};
  const auto steps = table_.store().steps(id, first, limit);
  std::size_t bytes = 0, shown = 0;
  for (; shown < std::min(steps.size(), static_cast<std::size_t>(page_size)) && bytes <= limits_.page_bytes; ++shown) {
    const StepRecord whole = history.whole(steps[shown]);
    v1::GroupWeightRecord& added = *response.add_records();
    added = history_record(whole, history.alpha_after(whole));
    bytes += added.ByteSizeLong();
  }
  const bool may_have_more = !steps.empty() && steps.back().request.step() + 1 < record.job.step();
  if (shown < steps.size() || may_have_more) page.next_step = steps[shown - 1].request.step() + 1;
  return page;
}

namespace {

using google::protobuf::util::TimeUtil;

google::protobuf::Duration protobuf_duration(std::chrono::steady_clock::duration duration) {
  return TimeUtil::MillisecondsToDuration(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

v1::RankStatus rank_status(const RankView& rank) {
  v1::RankStatus status;
  status.set_rank(rank.rank);
  status.set_host(rank.process.host);
  status.set_pid(rank.process.pid);
  status.set_phase(rank.report.phase);
  status.set_step(rank.report.step);
  *status.mutable_silent_for() = protobuf_duration(rank.silent_for);
  *status.mutable_stalled_for() = protobuf_duration(rank.stalled_for);
  status.set_last_collective(rank.report.last_collective);
  return status;
}

}  // namespace

v1::ListRanksResponse TrainingJobs::ranks(const v1::ListRanksRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 100, .largest = 1000});
  const JobRecord& record = table_.find(request.id());
  // Not of another attempt: its ranks are others.
  const std::string list = "ranks " + request.id() + " " + std::to_string(record.job.generation());
  const auto first = tokens_.position(list, request.page_token());
  v1::ListRanksResponse response;
  const v1::JobState state = record.intended().state;
  const bool is_live = has_attempt(state) || state == v1::JOB_STATE_PAUSING || state == v1::JOB_STATE_CANCELLING;
  if (!record.members || !is_live) return response;
  const SteadyTime now = table_.clock().now();
  auto rank = record.members->next_rank(static_cast<int>(first.value_or(0)));
  for (; rank && response.ranks_size() < page_size; rank = record.members->next_rank(*rank + 1)) {
    *response.add_ranks() = rank_status(record.members->view(*rank, now));
  }
  if (rank) response.set_next_page_token(tokens_.make(list, *rank));
  return response;
}

}  // namespace equipoise::coordinator
