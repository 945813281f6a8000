#include "client/command_line/shared_flags.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "client/command_line/resume_point.h"
#include "common/config/job_file.h"
#include "common/dataset/data_files.h"

namespace equipoise {

void CoordinatorFlags::add_to(CLI::App& verb) {
  verb.add_option("--coordinator", address, "Where the coordinator listens")
      ->type_name("HOST:PORT")
      ->envname("EQUIPOISE_COORDINATOR");
  verb.add_option("--timeout", timeout_seconds, "How long to wait for it")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  verb.add_option("--tls-ca", files.tls_ca, "Call it over TLS; who signs its certificate, PEM")
      ->type_name("FILE")
      ->envname(kTlsCaVariable);
  verb.add_option("--tls-cert", files.tls_cert, "The certificate to show it, PEM")
      ->type_name("FILE")
      ->envname(kTlsCertVariable);
  verb.add_option("--tls-key", files.tls_key, "The private key of --tls-cert, PEM")
      ->type_name("FILE")
      ->envname(kTlsKeyVariable);
  verb.add_option("--token-file", files.token_file, "The token that says who calls; a file of mode 0600")
      ->type_name("FILE")
      ->envname(kTokenFileVariable);
}

Connection CoordinatorFlags::connect(const StopRequest& stop) const {
  if (address.empty()) {
    throw std::invalid_argument("which coordinator? --coordinator HOST:PORT or EQUIPOISE_COORDINATOR says it");
  }
  return Connection({address, std::chrono::seconds(timeout_seconds), read_service_access(files)}, stop);
}

void add_etag_flag(CLI::App& verb, std::string& etag) {
  verb.add_option("--etag", etag, "Only if the job has this etag, as `jobs get --json` shows it; else exit code 4")
      ->type_name("ETAG");
}

namespace fs = std::filesystem;

namespace {

constexpr const char* kJobFile = "job.yaml";

// A run's folder has the job in it.
fs::path job_file_of(const fs::path& given, bool resumes) {
  std::error_code ignored;
  if (!fs::is_directory(given, ignored)) return given;
  if (!fs::exists(given / kJobFile, ignored)) {
    throw std::invalid_argument(given.string() + " is a folder without a job.yaml, expected a job file");
  }
  if (!resumes) {
    throw std::invalid_argument(given.string() +
                                " is the output of a run, expected a job file; --resume goes on with "
                                "the run");
  }
  return given / kJobFile;
}

// Sets what --resume says. What the job's file says of a run from the start does not hold for one that goes on.
void set_resume(const JobFlags& flags, v1::JobSpec& spec) {
  spec.mutable_training()->set_resume_from_checkpoint(resume_setting(*flags.resume, spec.output()));
  JobConfig place;
  place.output = spec.output();
  place.training.resume_from_checkpoint = spec.training().resume_from_checkpoint();
  if (!goes_on_in_own_output(place)) return;
  if (flags.overwrite) {
    throw std::invalid_argument("--resume goes on with the run in " + spec.output() +
                                ", and --overwrite replaces it: give one of them");
  }
  spec.set_overwrite(false);
}

}  // namespace

void JobFlags::add_to(CLI::App& verb) {
  CLI::Option* const job =
      verb.add_option("JOB.yaml", file, "The job: model, data, loss, how robust")->type_name("")->required();
  verb.add_option("--np", workers, "Worker processes (default: launch.workers of the job, else 1)")
      ->type_name("N")
      ->check(CLI::Range(1, kMostWorkers));
  verb.add_option("--set", settings, "Change one setting: --set loss.beta=0.2; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--output", output, "Folder of the run, instead of the job's `output`")->type_name("DIR");
  verb.add_flag("--overwrite", overwrite, "Replace what an earlier run left there");
  // A job file that follows --resume is the job, not its value.
  const auto take_resume = [this, job](const std::string& value) {
    const bool is_job = job->count() == 0 && !names_own_checkpoint(value);
    resume = is_job ? kLatestCheckpoint : value;
    if (!is_job) return;
    file = value;
    job->required(false);
  };
  verb.add_option_function<std::string>("--resume,--resume-from-checkpoint,--resume_from_checkpoint", take_resume,
                                        "Go on from a checkpoint: the newest of the output, one of its steps, or a "
                                        "folder. In place of JOB.yaml the run's folder will do")
      ->type_name("latest|STEP|FOLDER")
      ->expected(0, 1)
      ->default_str(kLatestCheckpoint);
}

bool JobFlags::resumes() const { return resume && resume_setting(*resume, "") != "false"; }

std::string JobFlags::with_place(const std::string& fault) const {
  std::vector<std::string> given = settings;
  if (workers) given.emplace_back("launch.workers");
  if (!output.empty()) given.emplace_back("output");
  if (resume) given.emplace_back("training.resume_from_checkpoint");
  return place_of_setting(job_file_of(file, resumes()), given, fault) + fault;
}

RequestedJob JobFlags::job(const std::function<void(const fs::path&)>& before_look) const {
  if (before_look) before_look(file);
  const fs::path job_file = job_file_of(file, resumes());
  v1::JobSpec spec = read_job_file(job_file, settings);
  if (job_file != file) spec.set_output(resume_setting((file / ".").string(), ""));
  if (workers) spec.mutable_launch()->set_workers(*workers);
  if (job_file != file && !output.empty()) {
    throw std::invalid_argument("--output: a run goes on in its own folder " + spec.output() + "; " +
                                job_file.string() +
                                " with --resume FOLDER goes on from a checkpoint of it in another one");
  }
  if (!output.empty()) spec.set_output(fs::absolute(output).lexically_normal().string());
  if (overwrite) spec.set_overwrite(true);
  if (before_look) before_look(spec.output());
  if (resumes()) set_resume(*this, spec);
  if (resume && !resumes() && spec.has_training()) spec.mutable_training()->clear_resume_from_checkpoint();
  JobConfig config = [&] {
    try {
      return make_job_config(spec);
    } catch (const std::invalid_argument& fault) {
      throw std::invalid_argument(with_place(fault.what()));
    }
  }();
  std::error_code ignored;
  if (!goes_on_in_own_output(config) && fs::equivalent(job_file, config.output / kJobFile, ignored)) {
    throw std::invalid_argument("output " + config.output.string() + " would replace the job file " +
                                job_file.string() + " itself: choose another folder with --output");
  }
  return {.spec = std::move(spec), .config = std::move(config)};
}

namespace {

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = list.find(',', begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(list.substr(begin, end - begin));
  }
  parts.push_back(list.substr(begin));
  return parts;
}

}  // namespace

std::vector<std::string> GroupFlags::columns() const { return parts_of(group_columns); }

void add_group_flags(CLI::App& verb, GroupFlags& flags) {
  verb.add_option("--group", flags.group, "The group of all pairs, whatever the files say")->type_name("NAME");
  verb.add_option("--group-columns", flags.group_columns, "Fields that say the group; several are crossed")
      ->type_name("NAME,...")
      ->capture_default_str();
  verb.add_option("--group-separator", flags.group_separator, "Levels of group names: \"/\" puts A/B into A as well")
      ->type_name("TEXT");
}

std::int64_t PreferenceFlags::bytes() const {
  std::int64_t bytes = 0;
  for (const std::string& file : files) bytes += data_bytes(file);
  return bytes;
}

PreferenceReadSettings PreferenceFlags::settings() const {
  return {.rejected = sft ? Rejected::kOptional : Rejected::kRequired,
          .group_separator = groups.group_separator,
          .group_columns = groups.columns(),
          .group = groups.group};
}

void add_preference_flags(CLI::App& verb, PreferenceFlags& flags) {
  verb.add_option("FILE", flags.files,
                  "JSONL, Parquet, an Arrow stream, or a folder that `datasets` saved; FOLDER/SPLIT")
      ->type_name("")
      ->required();
  add_group_flags(verb, flags.groups);
  verb.add_flag("--sft", flags.sft, "Pairs may lack \"rejected\"");
}

}  // namespace equipoise
