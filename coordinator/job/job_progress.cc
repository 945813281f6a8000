#include "coordinator/job/job_progress.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/base/network_interfaces.h"
#include "common/protocol/rank_phase.h"
#include "coordinator/sharding/plan_maker.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kMostParts = 8;

// Neighbouring ranks of one host.
struct RankRange {
  int first, last;
  std::string host;  // empty: not known
};

std::vector<RankRange> ranges_of(const std::vector<int>& ranks, const std::vector<HostSlots>& hosts) {
  std::vector<RankRange> ranges;
  for (const int rank : ranks) {
    const std::string host = host_of_rank(hosts, rank);
    const bool goes_on = !ranges.empty() && ranges.back().last == rank - 1 && ranges.back().host == host;
    if (goes_on) {
      ranges.back().last = rank;
    } else {
      ranges.push_back({.first = rank, .last = rank, .host = host});
    }
  }
  return ranges;
}

std::string text_of(const RankRange& range) {
  std::string text = range.first == range.last
                         ? "rank " + std::to_string(range.first)
                         : "ranks " + std::to_string(range.first) + " to " + std::to_string(range.last);
  if (!range.host.empty()) text += " on " + range.host;
  return text;
}

}  // namespace

google::protobuf::Timestamp timestamp(WallTime time) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

std::string host_of_rank(const std::vector<HostSlots>& hosts, int rank) {
  for (const HostSlots& host : hosts) {
    if (rank < host.slots) return host.name;
    rank -= host.slots;
  }
  return "";
}

RankProcess unknown_process(const std::vector<HostSlots>& hosts, int rank) {
  const std::string host = host_of_rank(hosts, rank);
  return {.host = host.empty() ? "its host" : host, .pid = 0, .device = ""};
}

namespace {

// "rank 0 on node1 and others have".
std::string missing_ranks_have(const Membership& members, const std::vector<HostSlots>& hosts) {
  const std::vector<int> missing = members.missing();
  const std::vector<RankRange> ranges = ranges_of(missing, hosts);
  std::string text;
  std::size_t named = 0;
  for (std::size_t i = 0; i < std::min(ranges.size(), kMostParts); ++i) {
    text += (i == 0 ? "" : ", ") + text_of(ranges[i]);
    named += static_cast<std::size_t>(ranges[i].last - ranges[i].first) + 1;
  }
  if (missing.size() > named) text += " and " + std::to_string(missing.size() - named) + " more";
  text += missing.size() == 1 ? " has" : " have";
  return text;
}

}  // namespace

std::string absent_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                              std::chrono::seconds waited) {
  return missing_ranks_have(members, hosts) + " not been heard of within " + std::to_string(waited.count()) +
         " s of the coordinator's start";
}

std::string missing_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                               std::chrono::seconds waited) {
  std::string text = missing_ranks_have(members, hosts);
  text += " not registered within " + std::to_string(waited.count()) + " s";
  if (members.world_size() == 1 && hosts.empty()) return text + " (launch.start_timeout_seconds)";
  return text + ": all hosts and this one (" + network_interfaces_text() +
         ") must reach each other over TCP; check their firewalls, and which network Open MPI takes where a host has "
         "several interfaces (launch.mpi_options: oob_tcp_if_include, btl_tcp_if_include). Where programs only start "
         "slowly, raise launch.start_timeout_seconds";
}

std::string stall_text(const StalledRank& stalled) {
  constexpr std::chrono::seconds kTwoHeartbeats{4};
  const RankReport& report = stalled.report;
  const std::string time = std::to_string(stalled.stalled_for.count()) + " s";
  const std::string where = phase_name(report.phase) + ", after step " + std::to_string(report.step);
  if (!stalled.rank) {
    return "all ranks have waited for each other in " + report.last_collective + " for " + time + " in " + where;
  }
  std::string text =
      "rank " + std::to_string(*stalled.rank) + " on " + stalled.host + " has stood still for " + time + " in " + where;
  if (stalled.silent_for > kTwoHeartbeats) {
    text += ", and has not been heard of for " + std::to_string(stalled.silent_for.count()) + " s";
  }
  return report.last_collective.empty() ? text : text + "; its last collective was " + report.last_collective;
}

std::string unconfirmed_hosts(const Membership& members, const std::vector<HostSlots>& hosts) {
  std::vector<std::string> names;
  for (const SilentRank& rank : members.unconfirmed()) names.push_back(rank.host);
  for (const int rank : members.missing()) names.push_back(host_of_rank(hosts, rank));
  std::vector<HostSlots> distinct;
  for (const std::string& name : names) {
    const bool is_new = !name.empty() && std::ranges::find(distinct, name, &HostSlots::name) == distinct.end();
    if (is_new) distinct.push_back({.name = name});
  }
  return host_names(distinct);
}

namespace {

constexpr int kMostConditions = 16;
constexpr std::size_t kLongestCondition = 1024;  // bytes
constexpr std::size_t kMostPhases = 32;
constexpr std::size_t kLongestPhaseName = 64;
constexpr double kNanosPerSecond = 1e9;
constexpr double kLongestTimeLeft = 1e9;  // seconds: 30 years, far inside what a Duration holds

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void apply_group(v1::GroupStatus& status, const v1::GroupMetrics& group, const v1::ReportMetricsRequest& request) {
  const bool has_loss = group.has_loss() && std::isfinite(group.loss());
  const bool has_accuracy = group.has_reward_accuracy() && std::isfinite(group.reward_accuracy());
  if (request.split() == v1::SPLIT_TRAIN) {
    if (has_loss) status.set_train_loss(group.loss());
    if (has_accuracy) status.set_train_reward_accuracy(group.reward_accuracy());
    return;
  }
  // A group whose validation loss is no number any more is the worst off: that must be seen.
  if (group.has_loss()) status.set_validation_loss(group.loss());
  if (has_accuracy) status.set_validation_reward_accuracy(group.reward_accuracy());
  if (request.step() != 0) return;
  if (group.has_loss()) status.set_initial_validation_loss(group.loss());
  if (has_accuracy) status.set_initial_validation_reward_accuracy(group.reward_accuracy());
}

void check_file(const v1::ReportMetricsRequest& request, const DataConfig& data) {
  if (request.file().empty()) return;
  if (request.split() != v1::SPLIT_VALIDATION) refuse("file is given for another split than SPLIT_VALIDATION");
  for (const DataFile& file : validation_files(data)) {
    if (file.name == request.file()) return;
  }
  refuse("file is " + quoted_text(request.file()) + ", expected the name of one of data.validation_files");
}

}  // namespace

void set_groups(v1::TrainingJob& job, const GroupTable& groups, const std::vector<double>& alpha_K) {
  job.clear_groups();
  for (std::size_t g = 0; g < groups.names.size(); ++g) {
    v1::GroupStatus& status = *job.add_groups();
    status.set_name(groups.names[g]);
    status.set_pair_count(groups.pair_count_K[g]);
    status.set_weight(alpha_K[g]);
  }
}

void set_weights(v1::TrainingJob& job, const std::vector<double>& alpha_K) {
  for (int g = 0; g < job.groups_size(); ++g) job.mutable_groups(g)->set_weight(alpha_K[static_cast<std::size_t>(g)]);
}

void check_metrics(const v1::ReportMetricsRequest& request, const v1::TrainingJob& job, const DataConfig& data) {
  if (request.split() != v1::SPLIT_TRAIN && request.split() != v1::SPLIT_VALIDATION) {
    refuse("split is " + std::to_string(request.split()) + ", expected SPLIT_TRAIN or SPLIT_VALIDATION");
  }
  check_file(request, data);
  if (request.step() < 0 || request.step() > job.total_steps()) {
    refuse("step is " + std::to_string(request.step()) + ", expected 0 to " + std::to_string(job.total_steps()));
  }
  if (request.groups_size() > job.groups_size()) {
    refuse("groups has " + std::to_string(request.groups_size()) + " entries, expected at most " +
           std::to_string(job.groups_size()) + ", one for each group of the job");
  }
  for (int i = 0; i < request.groups_size(); ++i) {
    if (request.groups(i).group() < static_cast<std::uint32_t>(job.groups_size())) continue;
    refuse("groups[" + std::to_string(i) + "].group is " + std::to_string(request.groups(i).group()) +
           ", expected a group id below " + std::to_string(job.groups_size()));
  }
  if (request.pairs_total() < 0) refuse("pairs_total is " + std::to_string(request.pairs_total()) + ", expected >= 0");
  if (request.skipped_gradients() < 0) {
    refuse("skipped_gradients is " + std::to_string(request.skipped_gradients()) + ", expected >= 0");
  }
  if (request.tokens_total() < 0)
    refuse("tokens_total is " + std::to_string(request.tokens_total()) + ", expected >= 0");
  if (request.phase_seconds().size() > kMostPhases) {
    refuse("phase_seconds has " + std::to_string(request.phase_seconds().size()) + " phases, expected at most " +
           std::to_string(kMostPhases));
  }
  for (const auto& [phase, seconds] : request.phase_seconds()) {
    if (phase.empty() || phase.size() > kLongestPhaseName) refuse("phase_seconds has a name that is not 1 to 64 bytes");
  }
}

void apply_metrics(v1::TrainingJob& job, const v1::ReportMetricsRequest& request) {
  if (!request.file().empty()) return;  // a part of the validation pairs: the job shows all of them
  for (const auto& group : request.groups()) {
    apply_group(*job.mutable_groups(static_cast<int>(group.group())), group, request);
  }
  if (request.split() == v1::SPLIT_VALIDATION) {
    job.set_validation_step(request.step());
    // After a rewind people may have moved the end before the step at which they had asked.
    const std::int64_t wanted = std::min(job.open_requests().evaluation_step(), job.total_steps());
    const bool is_answer = job.open_requests().has_evaluation_step() && request.step() >= wanted;
    if (is_answer) job.mutable_open_requests()->clear_evaluation_step();
  }
  if (request.split() != v1::SPLIT_TRAIN) return;
  if (std::isfinite(request.loss())) job.set_loss(request.loss());
  if (std::isfinite(request.pairs_per_second()) && request.pairs_per_second() >= 0) {
    job.set_pairs_per_second(request.pairs_per_second());
  }
}

void renew_requests(v1::TrainingJob& job) {
  const v1::OpenRequests& open = job.open_requests();
  if (!open.has_checkpoint_step() && !open.has_evaluation_step()) return job.clear_open_requests();
  v1::OpenRequests& renewed = *job.mutable_open_requests();
  renewed.set_checkpoints(open.has_checkpoint_step() ? 1 : 0);
  renewed.set_evaluations(0);  // evaluations_to_make() has it
}

void rewind_requests(v1::TrainingJob& job, std::int64_t first_step) {
  if (!job.open_requests().has_checkpoint_step()) return;
  v1::OpenRequests& open = *job.mutable_open_requests();
  open.set_checkpoint_step(std::min(open.checkpoint_step(), first_step));
}

void note_asked_evaluation(v1::TrainingJob& job, std::int64_t step) {
  constexpr std::size_t kMost = 64;
  std::set<std::int64_t> steps(job.asked_evaluation_steps().begin(), job.asked_evaluation_steps().end());
  steps.insert(step);
  if (steps.size() > kMost) steps.erase(steps.begin());
  job.mutable_asked_evaluation_steps()->Assign(steps.begin(), steps.end());
}

std::vector<std::int64_t> evaluations_to_make(const v1::TrainingJob& job, std::int64_t first_step,
                                              std::int64_t end_step) {
  std::set<std::int64_t> steps(job.asked_evaluation_steps().begin(), job.asked_evaluation_steps().end());
  const v1::OpenRequests& open = job.open_requests();
  if (open.has_evaluation_step()) steps.insert(std::max<std::int64_t>(open.evaluation_step(), first_step + 1));
  std::erase_if(steps, [&](std::int64_t step) { return step <= first_step || step > end_step; });
  return {steps.begin(), steps.end()};
}

void answer_checkpoint_requests(v1::TrainingJob& job, std::int64_t step) {
  if (!job.open_requests().has_checkpoint_step() || step < job.open_requests().checkpoint_step()) return;
  job.mutable_open_requests()->clear_checkpoint_step();
}

void set_time_left(v1::TrainingJob& job, const Training& training) {
  job.clear_time_left();
  const double speed = training.pace.pairs_per_second().value_or(job.pairs_per_second());
  if (!(speed > 0)) return;
  const ShardPlan& plan = training.plan;
  const auto pairs_left = static_cast<double>(pairs_done(plan, plan.end_step) - pairs_done(plan, job.step()));
  const double seconds = std::min(pairs_left / speed, kLongestTimeLeft);
  const double whole = std::floor(seconds);
  job.mutable_time_left()->set_seconds(static_cast<std::int64_t>(whole));
  job.mutable_time_left()->set_nanos(static_cast<std::int32_t>((seconds - whole) * kNanosPerSecond));
}

void add_condition(v1::TrainingJob& job, const std::string& sentence) {
  if (job.conditions_size() == kMostConditions) job.mutable_conditions()->DeleteSubrange(0, 1);
  job.add_conditions(one_line(utf8_text(sentence), kLongestCondition));
}

void add_recurring_condition(v1::TrainingJob& job, const std::string& sentence, std::string_view words) {
  constexpr std::ptrdiff_t kMostAlike = 4;
  auto& conditions = *job.mutable_conditions();
  const auto is_alike = [&](const std::string& other) { return other.find(words) != std::string::npos; };
  if (std::ranges::count_if(conditions, is_alike) >= kMostAlike) {
    conditions.erase(std::ranges::find_if(conditions, is_alike));
  }
  add_condition(job, sentence);
}

bool has_condition(const v1::TrainingJob& job, const std::string& sentence) {
  const std::string text = one_line(utf8_text(sentence), kLongestCondition);
  return std::find(job.conditions().begin(), job.conditions().end(), text) != job.conditions().end();
}

}  // namespace equipoise::coordinator
