// What people are told of a job: group weights and losses, speed, time left and conditions while it trains, and in one
// sentence why an attempt did not come together in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/data_config.h"
#include "coordinator/job/training.h"
#include "coordinator/launch/hostfile.h"
#include "coordinator/lifecycle/clock.h"
#include "coordinator/membership/membership.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

google::protobuf::Timestamp timestamp(WallTime time);

// The host of each rank in `hosts`, which ranks fill in their order; empty where hosts are not known.
std::string host_of_rank(const std::vector<HostSlots>& hosts, int rank);

// Of a rank that an earlier coordinator knew.
RankProcess unknown_process(const std::vector<HostSlots>& hosts, int rank);

// "rank 0 on node1 and ranks 1 to 8 on node2 have not registered within 120 s: ...". At least one is missing.
std::string missing_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                               std::chrono::seconds waited);

// "rank 1 on node1 has stood still for 31 s in training, after step 41, and has not been heard of for 31 s".
std::string stall_text(const StalledRank& stalled);
// The same of ranks that an earlier coordinator had heard of: "rank 1 has not been heard of within 30 s of the
// coordinator's start".
std::string absent_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                              std::chrono::seconds waited);

// Hosts on which ranks may still run, when nobody could ask: "node1, node2". Empty: none.
std::string unconfirmed_hosts(const Membership& members, const std::vector<HostSlots>& hosts);

// The job's groups, without losses yet.
void set_groups(v1::TrainingJob& job, const GroupTable& groups, const std::vector<double>& alpha_K);
void set_weights(v1::TrainingJob& job, const std::vector<double>& alpha_K);

// Throws std::invalid_argument naming the field, the value and what would be right: a group or a step outside the job,
// no split, a file that the job is not evaluated on, a negative total, too many groups or phases.
void check_metrics(const v1::ReportMetricsRequest& request, const v1::TrainingJob& job, const DataConfig& data);
// Values that are not finite leave the ones before; those of one validation file change nothing.
void apply_metrics(v1::TrainingJob& job, const v1::ReportMetricsRequest& request);

// What people have asked for of `job`, as an attempt that begins has it: what is open.
void renew_requests(v1::TrainingJob& job);
// A training begins after `first_step` steps, fewer perhaps than there were: a checkpoint that is open is the next one.
void rewind_requests(v1::TrainingJob& job, std::int64_t first_step);
// Of a training in which an evaluation that people had asked for was made: attempts that do this step again evaluate
// again, so that metrics.jsonl has it. The newest 64 are kept.
void note_asked_evaluation(v1::TrainingJob& job, std::int64_t step);
// Steps done, ascending, at which an attempt that goes on from `first_step` makes those evaluations, and the one that
// is open.
std::vector<std::int64_t> evaluations_to_make(const v1::TrainingJob& job, std::int64_t first_step,
                                              std::int64_t end_step);
// A checkpoint of `step` is whole.
void answer_checkpoint_requests(v1::TrainingJob& job, std::int64_t step);

// Pairs that remain, divided by the pace of `training`, or by the newest speed while it has none; none while no speed
// is known.
void set_time_left(v1::TrainingJob& job, const Training& training);

// Newest last; of more than 16 the oldest is dropped. One line of at most 1024 bytes; what is longer is cut off.
void add_condition(v1::TrainingJob& job, const std::string& sentence);
// The same of what may come again and again, and must not push out the rest: of the sentences with `words`, which are
// in this one too, the newest 4 stay.
void add_recurring_condition(v1::TrainingJob& job, const std::string& sentence, std::string_view words);
// Whether it is among them, as add_condition() has put it there.
bool has_condition(const v1::TrainingJob& job, const std::string& sentence);

}  // namespace equipoise::coordinator
