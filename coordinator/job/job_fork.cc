#include "coordinator/job/job_fork.h"

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/durable_file.h"
#include "common/config/checkpoint_settings.h"
#include "common/config/output_check.h"
#include "common/protocol/live_settings.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/training_jobs.h"

namespace equipoise::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kMostCheckpoints = 1'000'000;
constexpr const char* kForkPrefix = "fork-";

[[noreturn]] void refuse_fork(Refusal::Code code, const std::string& why) { throw Refusal(code, why); }

// Where a second name is refused for what it is, and not for want of room or rights to write: a disk of its own below a
// link, a file system without hard links, another user's file that only they may link.
bool may_be_copied(const std::error_code& refused) {
  return refused == std::errc::cross_device_link || refused == std::errc::operation_not_permitted ||
         refused == std::errc::operation_not_supported || refused == std::errc::function_not_supported ||
         refused == std::errc::too_many_links;
}

void copy_durably(const fs::path& source, const fs::path& target) {
  constexpr std::size_t kBlock = std::size_t{4} << 20;
  std::ifstream in(source, std::ios::binary);
  DurableFile out(target);
  std::vector<char> block(kBlock);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    out.write(std::string_view(block.data(), static_cast<std::size_t>(in.gcount())));
  }
  if (!in.eof()) throw fs::filesystem_error("could not be read", source, std::make_error_code(std::errc::io_error));
  out.commit();
}

// The checkpoint is renamed before the first of its files is removed: as long as it is there, all of it was.
void link_files(const fs::path& source, const fs::path& target) {
  fs::create_directories(target);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
    const fs::path place = target / entry.path().lexically_relative(source);
    if (entry.is_directory()) {
      fs::create_directory(place);
    } else {
      std::error_code refused;
      fs::create_hard_link(entry.path(), place, refused);
      if (may_be_copied(refused)) {
        copy_durably(entry.path(), place);
      } else if (refused) {
        throw fs::filesystem_error("could not be linked", entry.path(), place, refused);
      }
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

fs::path CheckpointLinks::folder() const { return output / (kForkPrefix + name); }

fs::path CheckpointLinks::checkpoint() const { return folder() / ("step-" + std::to_string(step)); }

void link_checkpoint(const CheckpointLinks& links) {
  const fs::path target = links.checkpoint(), source = links.output / kCheckpoints / target.filename();
  try {
    link_files(source, target);
  } catch (const std::exception& error) {  // of the file system, or of sync_folder()
    std::error_code ignored;
    fs::remove_all(links.folder(), ignored);
    refuse_fork(Refusal::Code::kFailedPrecondition,
                "the checkpoint " + source.string() + " could not be kept for the new job: " + error.what());
  }
}

namespace {

// "fork-" and eight digits, as link_checkpoint() names its folders; empty: it is none.
std::string name_of_links(const fs::path& folder) {
  constexpr std::string_view kPrefix = kForkPrefix;
  constexpr std::size_t kDigits = 8;
  const std::string name = folder.filename().string();
  const bool is_named_so = name.starts_with(kPrefix) && name.size() == kPrefix.size() + kDigits &&
                           name.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string::npos;
  return is_named_so ? name.substr(kPrefix.size()) : "";
}

// With nothing but step-N in it: whatever else begins with the same word is somebody's.
bool is_link_folder(const fs::path& folder) {
  std::error_code error;
  if (name_of_links(folder).empty() || !fs::is_directory(fs::symlink_status(folder, error))) return false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->path().filename().string().starts_with("step-")) return false;
  }
  return !error;
}

fs::path begins_in(const v1::JobSpec& spec) { return fs::path(spec.training().resume_from_checkpoint()).parent_path(); }

}  // namespace

void remove_links(const fs::path& folder) {
  if (!is_link_folder(folder)) return;
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) spdlog::warn("{} could not be removed: {}", folder.string(), error.message());
}

void DrawnNames::add(const std::string& name) {
  const std::lock_guard lock(mutex_);
  names_.insert(name);
}

bool DrawnNames::has(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return names_.contains(name);
}

void remove_links(FileErrands& errands, const JobConfig& config) {
  const auto& checkpoint = config.training.resume_from_checkpoint;
  const fs::path folder = checkpoint ? fs::path(*checkpoint).parent_path() : fs::path();
  if (!name_of_links(folder).empty()) errands.run_errand(folder, [folder] { remove_links(folder); });
}

// By their names, which are each of one folder: who begins elsewhere is not asked for it, as another file system might
// not answer. A name is drawn before its folder is there, so one that is found is known.
void remove_unused_links(FileErrands& errands, const fs::path& output, const JobTable::Jobs& jobs,
                         const std::shared_ptr<const DrawnNames>& drawn) {
  std::set<std::string> used;
  for (const auto& [sequence, record] : jobs) {
    if (!record.damage.empty()) return;  // nobody can say what it begins with
    used.insert(name_of_links(begins_in(record.job.spec())));
  }
  errands.run_errand(output, [output, used = std::move(used), drawn] {
    std::error_code error;
    for (fs::directory_iterator entry(output, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = name_of_links(entry->path());
      if (!name.empty() && !used.contains(name) && !drawn->has(name)) remove_links(entry->path());
    }
  });
}

JobMaking TrainingJobs::begin(const v1::ForkTrainingJobRequest& request, const std::string& requester) {
  JobMaking making;
  making.answer = requests_.first_answer("ForkTrainingJob", request);
  if (making.answer) return making;
  const JobRecord& parent = table_.find(request.id());
  if (!request.has_spec()) throw std::invalid_argument("spec is absent, expected a JobSpec");
  std::optional<std::int64_t> wanted;
  if (request.has_step()) wanted = request.step();
  const std::int64_t step = checkpoint_to_fork(table_.store(), parent.job, wanted);
  making.requester = requester;
  v1::JobSpec& spec = *making.request.mutable_spec();
  spec = request.spec();
  making.request.set_request_id(request.request_id());
  spec.mutable_training()->clear_resume_from_checkpoint();
  const JobConfig config = make_job_config(spec);
  check_fork_settings(parent, spec, config, step);
  making.origin = ForkOrigin{.job_id = request.id(), .step = step, .to_set = settings_of_fork(parent, step, config)};
  constexpr std::size_t kNameBytes = 4;
  const fs::path& output = parent.checked_config().output;
  making.links = CheckpointLinks{.output = output, .step = step, .name = random_source_.hex(kNameBytes)};
  spec.mutable_training()->set_resume_from_checkpoint(making.links->checkpoint().string());
  check(making);
  return making;
}

}  // namespace equipoise::coordinator
