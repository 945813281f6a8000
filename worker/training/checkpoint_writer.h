// Makes a run's checkpoints: when one is due, each rank of rank 0's machine copies its share of the tensors, and writes
// the copies while the steps go on. The checkpoint appears once every file of it is on disk and has been read again.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint_manifest.h"
#include "common/collective/host_collective.h"
#include "common/config/job_config.h"
#include "common/ledger/ledger_writer.h"
#include "worker/client/coordinator_client.h"
#include "worker/client/heartbeat.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

// Not thread-safe. All ranks call its functions, in the same order.
class CheckpointWriter {
 public:
  struct Parts {
    CoordinatorClient& client;
    spdlog::logger& log;
    const AttemptId& attempt;
    const JobConfig& config;
    const TrainedPolicy& policy;
    HostCollective& host;   // all ranks
    HostCollective& local;  // those of this machine
    RankProgress& progress;
  };
  // All parts outlive it.
  explicit CheckpointWriter(const Parts& parts);
  // Waits for what is being written. What is not whole then is no checkpoint.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // On rank 0, before the first one: each that is whole is written into it. It outlives this.
  void record_into(LedgerWriter& ledger) { ledger_ = &ledger; }

  // At the end of a step: whether one is to be made now by checkpoint.every_steps; whether by every_seconds, on rank 0
  // alone.
  bool is_due(std::int64_t steps_done) const;
  bool is_late() const;
  // Whether this rank still writes its share of the last one.
  bool is_writing() const;
  // Once none does: gathers what they have written, from which rank 0 makes the checkpoint.
  void gather_written();
  // Whether one was begun. The same on all ranks.
  bool has_begun_any() const { return has_begun_any_; }
  // Returns when the one before is whole and in the ledger, or given up: before the ledger is sealed for the next one,
  // as a run that goes on from that has the ledger up to this seal only.
  void finish_earlier();
  // Makes it, after finish_earlier(). Returns when the tensors are copied.
  //   manifest  of rank 0: all of it but the files and the time
  void make(CheckpointManifest manifest);
  // Returns when the last one is whole, or false where it is given up. One that cannot be written is told to the log,
  // and training goes on: the one before is still there.
  bool finish();

 private:
  struct WrittenFile {
    CheckpointFile file;
    std::string part;
    std::vector<std::string> tensors;
  };
  // What one rank has written.
  struct WrittenShare {
    std::vector<WrittenFile> files;
    std::string fault;  // why it is not whole; empty: it is
  };
  static std::string text_of(const WrittenShare& share);
  static WrittenShare share_of(const std::string& text);

  bool is_first() const { return parts_.host.info().rank == 0; }
  std::filesystem::path aside(std::int64_t step) const;
  std::string make_folder(std::int64_t step);
  std::future<WrittenShare> start_writing(const std::filesystem::path& folder) const;
  WrittenShare write_share(const std::filesystem::path& folder, const PolicySnapshot& snapshot) const;
  void write_companions(const std::filesystem::path& folder, WrittenShare& share) const;
  void wait_for_writing();
  std::vector<WrittenShare> gather();
  void check_is_current() const;
  void commit(CheckpointManifest& manifest, const std::vector<WrittenShare>& shares);
  // Whether it is whole now.
  bool commit_or_tell(CheckpointManifest manifest, const std::vector<WrittenShare>& shares);
  std::vector<std::int64_t> prune(std::int64_t whole_step) const;
  void record(const CheckpointManifest& manifest) const;
  void tell_coordinator(const CheckpointManifest& manifest, const std::vector<std::int64_t>& removed,
                        std::chrono::steady_clock::duration taken) const;
  bool give_up(std::int64_t step, const std::string& fault) const;  // false

  const Parts parts_;
  LedgerWriter* ledger_ = nullptr;
  std::vector<int> writers_;  // ranks of rank 0's machine, ascending
  CheckpointShare share_;     // of this rank; count 0: none
  std::chrono::steady_clock::time_point made_at_;
  // Of the one that is being written, on every rank.
  bool is_under_way_ = false;
  bool has_begun_any_ = false;
  std::future<WrittenShare> writing_;  // of the writers
  CheckpointManifest manifest_;        // of rank 0
  std::future<bool> committing_;       // of rank 0
  bool is_whole_ = false;              // the last one; of rank 0, where nothing is under way
};

}  // namespace equipoise
