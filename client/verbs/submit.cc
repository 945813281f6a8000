#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "client/command_line/file_patience.h"
#include "client/command_line/resume_point.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/verbs/message_result.h"

namespace equipoise {
namespace {

struct SubmitFlags {
  JobFlags job;
  CoordinatorFlags coordinator;
  bool external = false;
  bool watch = false;
  std::string request_id;
  ResultFlags result;
};

v1::CreateTrainingJobRequest make_request(const SubmitFlags& flags, RequestedJob job) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = std::move(job.spec);
  if (flags.external) request.mutable_spec()->mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
  request.set_request_id(flags.request_id);
  return request;
}

// The output may be on the ranks' machines alone, which find the checkpoint themselves.
std::string start_text(const JobConfig& job) {
  const auto& checkpoint = job.training.resume_from_checkpoint;
  if (!checkpoint) return "";
  const bool is_latest = *checkpoint == kLatestCheckpoint;
  if (const auto newest = is_latest ? newest_checkpoint(job.output) : std::nullopt) {
    return "goes on from step " + std::to_string(newest->step) + " of " + newest->folder.string() + "\n";
  }
  return "goes on from " +
         (is_latest ? "the newest checkpoint of " + job.output.string() + ", if there is one" : checkpoint->string()) +
         "\n";
}

// For people only: a script reads the id alone.
void advise(const SubmitFlags& flags, const v1::TrainingJob& job, const std::string& start, const Console& console) {
  if (console.kind != OutputKind::kTerminal || !flags.result.is_for_people()) return;
  console.out << start;
  if (flags.external) {
    console.out << "start its ranks: mpirun -np " << std::max(1, job.spec().launch().workers())
                << " equipoise-worker --coordinator " << flags.coordinator.address << " --job " << job.id() << "\n";
  } else if (!flags.watch) {
    console.out << "watch it: equipoise jobs watch " << job.id() << " --coordinator " << flags.coordinator.address
                << "\n";
  }
}

void submit(const SubmitFlags& flags, const Console& console) {
  RequestedJob requested = flags.job.job([](const std::filesystem::path& place) { await_file_system(place); });
  const std::string start = start_text(requested.config);
  const v1::CreateTrainingJobRequest request = make_request(flags, std::move(requested));
  if (!flags.watch) {
    Connection connection = flags.coordinator.connect();
    const v1::TrainingJob job = connection.create_job(request);
    flags.result.print(job_result(job, [&job] { return job.id() + "\n"; }), console);
    console.out << std::flush;
    return advise(flags, job, start, console);
  }
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  Connection connection = flags.coordinator.connect([&inbox] { return inbox.interrupted(); });
  const v1::TrainingJob job = connection.create_job(request);
  flags.result.progress_console(console).out << job.id() << std::endl;
  advise(flags, job, start, console);
  watch_until_end(connection, job.id(), inbox, flags.result, console);
}

}  // namespace

void add_submit_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<SubmitFlags>();
  CLI::App* verb = parent.add_subcommand("submit", "Hand a job to a coordinator and print its id");
  flags->job.add_to(*verb);
  flags->coordinator.add_to(*verb);
  verb->add_flag("--external", flags->external, "You start the ranks yourself, with mpirun or srun");
  verb->add_flag("--watch", flags->watch, "Stay and show progress; Ctrl-C leaves, the job goes on");
  verb->add_option("--request-id", flags->request_id, "Submitting again with the same id gives the same job")
      ->type_name("ID");
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "Files of the job are read by the workers: their paths must be right there.\n"
      "\n"
      "  equipoise submit job.yaml --coordinator head:7443 --np 8 --watch\n"
      "  equipoise submit job.yaml --coordinator head:7443 --np 8 --resume\n"
      "  id=$(equipoise submit job.yaml --coordinator head:7443 --external)\n"
      "  mpirun -np 8 equipoise-worker --coordinator head:7443 --job $id");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { submit(*flags, console); }; });
}

}  // namespace equipoise
