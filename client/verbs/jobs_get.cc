#include <memory>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/report/job_summary.h"

namespace equipoise {
namespace {

struct GetFlags {
  CoordinatorFlags coordinator;
  std::string id;
  bool json = false;
};

void get_job(const GetFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.get_job(flags.id);
  console.out << (flags.json ? json_text(job) : job_description(job, console.colors, console.glyphs));
}

}  // namespace

void add_jobs_get_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<GetFlags>();
  CLI::App* verb = parent.add_subcommand("get", "One job: state, why, progress, every group");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->add_flag("--json", flags->json, "Everything, for programs");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { get_job(*flags, console); }; });
}

}  // namespace equipoise
