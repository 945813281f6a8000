#include "coordinator/job/job_fork.h"

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/durable_file.h"
#include "common/config/checkpoint_settings.h"
#include "common/config/output_check.h"
#include "common/protocol/live_settings.h"
#include "coordinator/job/file_wait.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/training_jobs.h"

namespace equipoise::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kMostCheckpoints = 1'000'000;
constexpr const char* kForkPrefix = "fork-";

[[noreturn]] void refuse_fork(Refusal::Code code, const std::string& why) { throw Refusal(code, why); }

// The checkpoint is renamed before the first of its files is removed: as long as it is there, all of it was.
void link_files(const fs::path& source, const fs::path& target) {
  fs::create_directories(target);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
    const fs::path place = target / entry.path().lexically_relative(source);
    if (entry.is_directory()) {
      fs::create_directory(place);
    } else {
      fs::create_hard_link(entry.path(), place);
    }
  }
  if (!fs::exists(source / "manifest.json")) {
    throw fs::filesystem_error("was removed meanwhile", source,
                               std::make_error_code(std::errc::no_such_file_or_directory));
  }
  for (const fs::path& folder : {target, target.parent_path(), target.parent_path().parent_path()}) sync_folder(folder);
}

}  // namespace

std::int64_t checkpoint_to_fork(JobStore& store, const v1::TrainingJob& parent, std::optional<std::int64_t> step) {
  const std::vector<StoredCheckpoint> kept = store.kept_checkpoints(parent.id(), kMostCheckpoints);
  if (kept.empty()) {
    refuse_fork(Refusal::Code::kFailedPrecondition,
                "job " + parent.id() + " has no checkpoint yet; `jobs checkpoint` makes one of a job that runs");
  }
  if (!step) return kept.front().step;
  const auto found = std::ranges::find(kept, *step, &StoredCheckpoint::step);
  if (found != kept.end()) return *step;
  std::string there;
  for (const StoredCheckpoint& checkpoint : kept) {
    if (!there.empty()) there += ", ";
    there += std::to_string(checkpoint.step);
  }
  refuse_fork(Refusal::Code::kNotFound, "job " + parent.id() + " has no checkpoint of step " + std::to_string(*step) +
                                            "; there are those of steps " + there);
}

void check_fork_settings(const JobRecord& parent, const v1::JobSpec& fork, const JobConfig& config, std::int64_t step) {
  using google::protobuf::util::MessageDifferencer;
  const v1::JobSpec& spec = parent.job.spec();
  const auto refuse = [](const char* section) {
    throw std::invalid_argument(std::string(section) +
                                " is not that of the job whose checkpoint is taken; a job with another one begins "
                                "anew, with model.path of the checkpoint if need be");
  };
  if (!MessageDifferencer::Equals(spec.model(), fork.model())) refuse("model");
  if (!MessageDifferencer::Equals(spec.policy(), fork.policy())) refuse("policy");
  if (!MessageDifferencer::Equals(spec.data(), fork.data())) refuse("data");
  check_same_settings(resolve_defaults(fork, config), resolve_defaults(spec, parent.checked_config()), step,
                      CheckpointUse::kFork);
  check_end_after(step, config);
}

v1::TrainingJobSettings settings_of_fork(const JobRecord& parent, std::int64_t step, const JobConfig& config) {
  const JobConfig& before = parent.checked_config();
  const v1::TrainingJobSettings held = settings_in_force(parent.job.settings_changes(), step - 1);
  const double eta = held.has_step_size() ? held.step_size() : before.robust.settings.step_size;
  const double rate = held.has_learning_rate() ? held.learning_rate() : before.optimizer.learning_rate;
  v1::TrainingJobSettings settings;
  if (config.robust.settings.step_size != eta) settings.set_step_size(config.robust.settings.step_size);
  if (config.optimizer.learning_rate != rate) settings.set_learning_rate(config.optimizer.learning_rate);
  return settings;
}

fs::path link_checkpoint(const fs::path& output, std::int64_t step, const std::string& name) {
  const std::string folder = "step-" + std::to_string(step);
  const fs::path source = output / kCheckpoints / folder, links = output / (kForkPrefix + name);
  done_on_files<void>(kPatienceOfMany, output, [source, links, folder] {
    try {
      link_files(source, links / folder);
    } catch (const std::exception& error) {  // of the file system, or of sync_folder()
      std::error_code ignored;
      fs::remove_all(links, ignored);
      refuse_fork(Refusal::Code::kFailedPrecondition,
                  "the checkpoint " + source.string() + " could not be kept for the new job: " + error.what());
    }
  });
  return links / folder;
}

namespace {

// As link_checkpoint() makes them: "fork-" and eight digits, with nothing but step-N in it. Whatever else begins with
// the same word is somebody's.
bool is_link_folder(const fs::path& folder) {
  constexpr std::string_view kPrefix = kForkPrefix;
  constexpr std::size_t kDigits = 8;
  const std::string name = folder.filename().string();
  const bool is_named_so = name.starts_with(kPrefix) && name.size() == kPrefix.size() + kDigits &&
                           name.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string::npos;
  std::error_code error;
  if (!is_named_so || !fs::is_directory(fs::symlink_status(folder, error))) return false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->path().filename().string().starts_with("step-")) return false;
  }
  return !error;
}

// By whatever name either is called.
bool is_same_folder(const fs::path& one, const fs::path& other) {
  std::error_code ignored;
  return one == other || fs::equivalent(one, other, ignored);
}

void remove_if_of_links(const fs::path& folder) {
  if (!is_link_folder(folder)) return;
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) spdlog::warn("{} could not be removed: {}", folder.string(), error.message());
}

using LeftAlone = std::shared_ptr<std::atomic<bool>>;

// `work` is told where nobody waits for it any more, as the file system does not answer soon.
void begin_to_remove(const fs::path& place, const std::function<void(const LeftAlone&)>& work) {
  const auto left_alone = std::make_shared<std::atomic<bool>>(false);
  const auto done = begin_on_files<void>([work, left_alone] { work(left_alone); });
  if (done.wait_for(kPatienceOfTicks) == std::future_status::ready) return;
  *left_alone = true;
  spdlog::warn("{}; what forks have left there stays for now", silence_of_files(place));
}

}  // namespace

void remove_links(const JobConfig& config) {
  const auto& checkpoint = config.training.resume_from_checkpoint;
  if (!checkpoint) return;
  const fs::path links = fs::path(*checkpoint).parent_path();
  begin_to_remove(links, [links](const LeftAlone& /*left_alone*/) { remove_if_of_links(links); });
}

void remove_unused_links(const fs::path& output, const JobTable::Jobs& jobs) {
  const auto begins_with = [](const JobRecord& record) {
    return record.job.spec().training().resume_from_checkpoint();
  };
  const bool are_known = std::ranges::all_of(jobs, [](const auto& entry) { return entry.second.damage.empty(); });
  if (!are_known) return;  // of one whose record is damaged nobody can say what it begins with
  std::vector<fs::path> used;
  for (const auto& [sequence, record] : jobs) used.push_back(fs::path(begins_with(record)).parent_path());
  begin_to_remove(output, [output, used = std::move(used)](const LeftAlone& left_alone) {
    std::error_code error;
    for (fs::directory_iterator entry(output, error), end; !error && entry != end; entry.increment(error)) {
      const bool is_used =
          std::ranges::any_of(used, [&](const fs::path& one) { return is_same_folder(one, entry->path()); });
      if (*left_alone) return;  // a fork that was made since may have its links here
      if (!is_used) remove_if_of_links(entry->path());
    }
  });
}

v1::TrainingJob TrainingJobs::fork_anew(const v1::ForkTrainingJobRequest& request, const std::string& requester) {
  const JobRecord& parent = table_.find(request.id());
  if (!request.has_spec()) throw std::invalid_argument("spec is absent, expected a JobSpec");
  std::optional<std::int64_t> wanted;
  if (request.has_step()) wanted = request.step();
  const std::int64_t step = checkpoint_to_fork(table_.store(), parent.job, wanted);
  v1::CreateTrainingJobRequest create_request;
  v1::JobSpec& spec = *create_request.mutable_spec();
  spec = request.spec();
  spec.mutable_training()->clear_resume_from_checkpoint();
  const JobConfig config = make_job_config(spec);
  check_fork_settings(parent, spec, config, step);
  const ForkOrigin origin{.job_id = request.id(), .step = step, .to_set = settings_of_fork(parent, step, config)};
  constexpr std::size_t kNameBytes = 4;
  remove_unused_links(parent.checked_config().output, table_.jobs());
  const fs::path folder = link_checkpoint(parent.checked_config().output, step, random_source_.hex(kNameBytes));
  spec.mutable_training()->set_resume_from_checkpoint(folder.string());
  try {
    return create_anew(create_request, requester, &origin);
  } catch (...) {
    remove_links(make_job_config(spec));
    throw;
  }
}

}  // namespace equipoise::coordinator
