// The output folders of the jobs that are not over: each has one owner, from its submission to the end of its
// processes.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/output_lock.h"
#include "common/config/job_config.h"
#include "common/config/path_roots.h"

namespace equipoise::coordinator {

// Where the ranks that this coordinator launches run. Paths of other machines mean nothing here.
enum class RanksRun { kOnThisMachine, kElsewhere };

struct OutputSettings {
  RanksRun ranks_run = RanksRun::kElsewhere;
  std::filesystem::path state;  // the coordinator's folder; empty: of no concern
  PathRoots roots = {};         // which all paths of a job must be in, not those of its output alone
};

// Folders of ranks on this machine are also reserved on disk (common/base/output_lock.h), so that no other coordinator
// or command takes them. Whatever asks for files waits for a few seconds at most, and is refused with Refusal
// kUnavailable then (file_wait.h). Not thread-safe.
class OutputFolders {
 public:
  explicit OutputFolders(OutputSettings settings);
  ~OutputFolders();
  OutputFolders(const OutputFolders&) = delete;
  OutputFolders& operator=(const OutputFolders&) = delete;

  // What the calls below ask for.
  std::vector<std::filesystem::path> files_of(const JobConfig& config) const;
  // For a job that is about to be made. Throws std::invalid_argument where a job may not have its files where it says,
  // or not write there, Refusal kFailedPrecondition, naming the owner, where another job or process has the folder.
  void check(const JobConfig& config) const;
  // After check(). Throws as check() does, and takes nothing then.
  void acquire(const std::string& id, const JobConfig& config);
  // Of a job that an earlier coordinator took. Returns why it cannot be taken yet where another job or process has it,
  // such as ranks of the earlier coordinator; of anything else that is wrong with it the job's ranks will tell.
  std::string reacquire(const std::string& id, const JobConfig& config);
  // The same of a job whose ranks go on: they have the folder, and keep it.
  std::string reacquire_beside_ranks(const std::string& id, const JobConfig& config);
  bool holds(const std::string& id) const { return held_.contains(id); }
  void release(const std::string& id);
  std::vector<std::string> jobs() const;  // ids

 private:
  struct Folder {
    std::filesystem::path path;
    OutputRecord record;
    std::optional<OutputLock> lock;  // absent: not on this machine
  };
  using Reserve = OutputLock (*)(const OutputPlace& place, const OutputOwner& owner);
  std::function<Folder()> reservation(const std::string& id, const JobConfig& config, Reserve reserve) const;
  std::string reacquire(const std::string& id, const JobConfig& config, Reserve reserve);
  bool is_launched_here(const JobConfig& config) const;
  void hold(const std::string& id, Folder folder);

  const std::shared_ptr<const OutputSettings> settings_;  // which work on files keeps
  std::map<std::string, Folder> held_;                    // by job
  std::map<std::string, std::future<Folder>> awaited_;    // by job: of a file system that does not answer
};

}  // namespace equipoise::coordinator
