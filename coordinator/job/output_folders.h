// The output folders of the jobs that are not over: each has one owner, from its submission to the end of its
// processes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/output_lock.h"
#include "common/config/job_config.h"
#include "common/config/path_roots.h"
#include "coordinator/job/file_errands.h"
#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

// Where the ranks that this coordinator launches run. Paths of other machines mean nothing here.
enum class RanksRun { kOnThisMachine, kElsewhere };

struct OutputSettings {
  RanksRun ranks_run = RanksRun::kElsewhere;
  std::filesystem::path state;  // the coordinator's folder; empty: of no concern
  PathRoots roots = {};         // which all paths of a job must be in, not those of its output alone
};

// A lock on disk that its job does not need any more: whoever comes first takes it off.
class LeavingLock {
 public:
  explicit LeavingLock(OutputLock lock) : lock_(std::move(lock)) {}
  // Returns when it is gone. From any thread.
  void remove() {
    std::call_once(once_, [this] { lock_.reset(); });
  }

 private:
  std::once_flag once_;
  std::optional<OutputLock> lock_;
};

// What is asked of the files of a job that is about to be made, as long as its file systems take. Throw
// std::invalid_argument where it may not have its files where it says, or not write there, Refusal kFailedPrecondition,
// naming the owner, where another process has its folder. May be used from any thread.
class OutputFiles {
 public:
  explicit OutputFiles(std::shared_ptr<const OutputSettings> settings) : settings_(std::move(settings)) {}

  // What the calls below ask for.
  std::vector<std::filesystem::path> files_of(const JobConfig& config) const;
  std::filesystem::path checked_place(const JobConfig& config) const;  // of its output, resolved
  void check_free(const JobConfig& config) const;
  // On disk, where ranks of this machine write it. Absent: they are elsewhere.
  std::optional<OutputLock> reserve(const std::string& id, const JobConfig& config) const;
  // The same beside ranks of the job, which have the folder, and keep it.
  std::optional<OutputLock> reserve_beside_ranks(const std::string& id, const JobConfig& config) const;

 private:
  friend class OutputFolders;
  using Take = OutputLock (*)(const OutputPlace& place, const OutputOwner& owner);
  std::optional<OutputLock> locked(const std::string& id, const JobConfig& config, Take take) const;
  std::filesystem::path resolved(const std::filesystem::path& path) const;
  void check_state(const JobConfig& config, const std::filesystem::path& output) const;

  std::shared_ptr<const OutputSettings> settings_;
};

// Folders of ranks on this machine are also reserved on disk (common/base/output_lock.h), so that no other coordinator
// or command takes them. Asks for no file itself, but where `errands` are done at once. Not thread-safe.
class OutputFolders {
 public:
  // errands  which outlive it; null: they are done at once
  explicit OutputFolders(OutputSettings settings, FileErrands* errands = nullptr);
  ~OutputFolders();
  OutputFolders(const OutputFolders&) = delete;
  OutputFolders& operator=(const OutputFolders&) = delete;

  OutputFiles files() const { return OutputFiles(settings_); }

  // From now on `output`, resolved, is that of job `id`, which is about to be made; keep() once it is. An empty id: it
  // is only asked for. Returns what is to leave the disk before it can be reserved there. Throws Refusal
  // kFailedPrecondition, naming the owner, where another job has it, and takes nothing then.
  using Leaving = std::vector<std::shared_ptr<LeavingLock>>;
  Leaving take(const std::string& id, const JobConfig& config, const std::filesystem::path& output);
  void keep(const std::string& id, std::optional<OutputLock> lock);

  // Of a job that an earlier coordinator took. Returns why it cannot be taken yet where another job or process has it,
  // such as ranks of the earlier coordinator, or its file system does not answer; nothing of that while that has just
  // been asked (""). Of anything else that is wrong with it the job's ranks will tell. nullopt: it has it.
  std::optional<std::string> reacquire(const std::string& id, const JobConfig& config, SteadyTime now);
  // The same of a job whose ranks go on: they have the folder, and keep it.
  void reacquire_beside_ranks(const std::string& id, const JobConfig& config, SteadyTime now);
  bool holds(const std::string& id) const;
  // Its lock leaves the disk by and by.
  void release(const std::string& id);
  std::vector<std::string> jobs() const;  // ids of those that are made

 private:
  struct Asked;
  struct Folder {
    std::filesystem::path path;  // resolved, once its file system has answered
    OutputRecord record;
    std::optional<OutputLock> lock = std::nullopt;  // absent: not on this machine
    std::shared_ptr<Asked> asked = nullptr;         // what its file system has not answered, or nobody has looked at
    bool is_in_making = false;                      // of a job that is not in the table yet
  };
  using Folders = std::map<std::string, Folder>;
  enum class Beside { kNobody, kRanks };
  Folders::iterator ask(const std::string& id, const JobConfig& config, SteadyTime now, Beside beside);
  void remove(const std::filesystem::path& path, OutputLock lock);

  const std::shared_ptr<const OutputSettings> settings_;  // which work on files keeps
  ErrandsAtOnce errands_at_once_;
  FileErrands& errands_;
  Folders held_;                                                                       // by job
  std::vector<std::pair<std::filesystem::path, std::weak_ptr<LeavingLock>>> leaving_;  // by folder
};

}  // namespace equipoise::coordinator
