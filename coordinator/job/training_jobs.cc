#include "coordinator/job/training_jobs.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/time_util.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <set>
#include <stdexcept>
#include <utility>

#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/step_history.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kSignatureBytes = 16;

// "<position in hexadecimal>-<signature>".
std::string signed_position(const std::string& key, const std::string& list, const std::string& position) {
  const std::string text = list + '\0' + position;
  std::array<unsigned char, EVP_MAX_MD_SIZE> signature{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), signature.data(), &length);
  return position + "-" + hex_text(std::as_bytes(std::span(signature)).first(kSignatureBytes));
}

}  // namespace

std::string PageTokens::make(const std::string& list, std::int64_t position) const {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), position, 16);
  return signed_position(key_, list, std::string(digits.data(), end.ptr));
}

std::optional<std::int64_t> PageTokens::position(const std::string& list, const std::string& token) const {
  if (token.empty()) return std::nullopt;
  const std::string digits = token.substr(0, token.find('-'));
  std::int64_t position = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position, 16);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  if (is_number && equal_secrets(signed_position(key_, list, digits), token)) return position;
  throw std::invalid_argument(
      "page_token is not one that this service gave for this list and filter; leave it empty to begin again");
}

namespace {

constexpr std::size_t kLongestRequestId = 64;

// Of the message's bytes in an order that does not depend on how a map was filled.
std::string message_digest(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return byte_text(sha256_of(std::as_bytes(std::span(bytes))));
}

struct PageSizes {
  int absent;
  int largest;
};

int checked_page_size(int page_size, PageSizes sizes) {
  if (page_size == 0) return sizes.absent;
  if (page_size > 0 && page_size <= sizes.largest) return page_size;
  throw std::invalid_argument("page_size is " + std::to_string(page_size) + ", expected 1 to " +
                              std::to_string(sizes.largest) + ", or 0 for " + std::to_string(sizes.absent));
}

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

std::string list_name(const std::set<int>& states) {
  std::string name = "jobs";
  for (const int state : states) name.append(" ").append(std::to_string(state));
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
      outputs_(outputs),
      supervisor_(supervisor),
      random_source_(random_source),
      tokens_(table.store().signing_key()) {}

std::optional<v1::TrainingJob> TrainingJobs::stored_answer(const v1::CreateTrainingJobRequest& request,
                                                           const std::string& digest) {
  if (request.request_id().size() > kLongestRequestId) {
    throw std::invalid_argument("request_id has " + std::to_string(request.request_id().size()) +
                                " bytes, expected at most " + std::to_string(kLongestRequestId));
  }
  if (request.request_id().empty()) return std::nullopt;
  auto earlier = table_.store().answered_request(request.request_id());
  if (!earlier) return std::nullopt;
  if (earlier->digest == digest) {
    *earlier->answer.mutable_spec() = request.spec();  // stored without: it is most of the bytes
    return std::move(earlier->answer);
  }
  throw std::invalid_argument("request_id \"" + request.request_id() + "\" was used for another spec (job " +
                              earlier->answer.id() + "); use a new one");
}

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
  } while (table_.contains(id) || table_.store().deleted().contains(id));
  return id;
}

v1::TrainingJob TrainingJobs::create(const v1::CreateTrainingJobRequest& request) {
  if (!request.has_spec()) throw std::invalid_argument("spec is absent, expected a JobSpec");
  if (request.spec().ByteSizeLong() > limits_.spec_bytes) {
    throw std::invalid_argument("spec has " + std::to_string(request.spec().ByteSizeLong()) +
                                " bytes, expected at most " + std::to_string(limits_.spec_bytes));
  }
  const std::string digest = message_digest(request.spec());
  if (auto answer = stored_answer(request, digest)) return std::move(*answer);
  JobConfig config = make_job_config(request.spec());
  if (config.launch.mode == LaunchMode::kCoordinator) supervisor_.check_fits(config.launch.workers.value_or(1));
  check_limits();
  outputs_.check(config);

  v1::TrainingJob job;
  *job.mutable_spec() = request.spec();
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_priority(config.launch.priority);
  job.set_state_reason(config.launch.mode == LaunchMode::kExternal ? "waiting for its workers to register"
                                                                   : "waiting for a free place");
  *job.mutable_create_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<std::chrono::nanoseconds>(table_.clock().wall().time_since_epoch()).count());
  if (request.validate_only()) return job;
  job.set_id(new_id(config.name));
  job.set_revision(1);
  std::optional<AnsweredRequest> answered;
  if (!request.request_id().empty()) {
    answered = {.request_id = request.request_id(), .digest = digest, .answer = job};
    answered->answer.clear_spec();
  }
  outputs_.acquire(job.id(), config);
  try {
    table_.insert(job, std::move(config), answered);
  } catch (...) {
    outputs_.release(job.id());
    throw;
  }
  return job;
}

v1::ListTrainingJobsResponse TrainingJobs::list(const v1::ListTrainingJobsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 50, .largest = 1000});
  const std::set<int> states = checked_states(request);
  const auto begin = tokens_.position(list_name(states), request.page_token());
  auto& jobs = table_.jobs();
  auto entry = std::make_reverse_iterator(begin ? jobs.upper_bound(*begin) : jobs.end());
  v1::ListTrainingJobsResponse response;
  std::size_t bytes = 0;
  for (; entry != jobs.rend(); ++entry) {
    const auto& [sequence, record] = *entry;
    if (!states.empty() && !states.contains(record.job.state())) continue;
    bytes += record.job.ByteSizeLong();
    const bool is_full = response.jobs_size() == page_size || (response.jobs_size() > 0 && bytes > limits_.page_bytes);
    if (is_full) {
      response.set_next_page_token(tokens_.make(list_name(states), sequence));
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

v1::TrainingJob TrainingJobs::checkpoint(const std::string& id) {
  JobRecord& record = table_.find(id);
  const JobLifecycle& job = record.intended();
  if (job.state != v1::JOB_STATE_RUNNING) refuse_wish(record, "only a RUNNING job can make a checkpoint");
  if (job.left_at_step || job.all_ranks_finished) refuse_wish(record, "its ranks have ended already");
  ++record.checkpoint_requests;
  return record.job;
}

void TrainingJobs::remove(const std::string& id) {
  const JobRecord& record = table_.find(id);
  if (!is_final(record.job.state())) {
    throw Refusal(Refusal::Code::kFailedPrecondition,
                  "job " + id + " is " + state_name(record.job.state()) + "; cancel it before it is deleted");
  }
  table_.erase(id);
}

v1::ListGroupWeightsResponse TrainingJobs::group_weights(const v1::ListGroupWeightsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 1000, .largest = 10000});
  const JobRecord& record = table_.find(request.id());
  const std::string list = "weights " + request.id();
  const std::int64_t first = tokens_.position(list, request.page_token()).value_or(0);
  v1::ListGroupWeightsResponse response;
  const auto training = table_.store().newest_training(request.id());
  if (!training) return response;
  response.mutable_group_names()->CopyFrom(training->request.group_names());
  StepHistory history(table_.store(), record.checked_config(), request.id());
  const HistoryExtent extent = table_.store().step_rows().extent(request.id());
  if (extent.thinned_end > 0) {
    response.set_thinned_end(extent.thinned_end);
    response.set_thinned_spacing(extent.spacing);
  }
  // Of each step the answer has alpha, and perhaps a loss, of every group.
  const auto num_groups = static_cast<std::size_t>(std::max(1, training->request.group_names_size()));
  const auto most = static_cast<std::int64_t>(1 + limits_.page_bytes / (num_groups * sizeof(double)));
  const PageLimit limit{.rows = std::min<std::int64_t>(page_size, most) + 1, .bytes = limits_.page_bytes};
  const auto steps = table_.store().steps(request.id(), first, limit);
  std::size_t bytes = 0, shown = 0;
  for (; shown < std::min(steps.size(), static_cast<std::size_t>(page_size)) && bytes <= limits_.page_bytes; ++shown) {
    const StepRecord whole = history.whole(steps[shown]);
    v1::GroupWeightRecord& added = *response.add_records();
    added = history_record(whole, history.alpha_after(whole));
    bytes += added.ByteSizeLong();
  }
  const bool may_have_more = !steps.empty() && steps.back().request.step() + 1 < record.job.step();
  if (shown < steps.size() || may_have_more) {
    response.set_next_page_token(tokens_.make(list, steps[shown - 1].request.step() + 1));
  }
  return response;
}

}  // namespace equipoise::coordinator
