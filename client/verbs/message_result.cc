#include "client/verbs/message_result.h"

#include <utility>
#include <vector>

#include "client/connection/follow_job.h"
#include "client/report/group_tables.h"
#include "client/report/job_summary.h"
#include "common/protocol/job_state.h"

namespace equipoise {

VerbResult message_result(const google::protobuf::Message& message, std::function<std::string()> text) {
  return {.text = std::move(text), .json = [&message] { return json_text(message); }};
}

VerbResult job_result(const v1::TrainingJob& job, std::function<std::string()> text) {
  VerbResult result = message_result(job, std::move(text));
  result.names = [&job] { return std::vector<std::string>{job.id()}; };
  return result;
}

void watch_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const ResultFlags& flags,
                     const Console& console) {
  const FollowedJob followed = follow_until_end(connection, id, inbox, flags.progress_console(console));
  const v1::TrainingJob& job = followed.job;
  if (flags.is_for_people() || !is_final(job.state())) require_success(followed);
  flags.print(job_result(job,
                         [&] {
                           // The notes of a coordinator elsewhere only with a shared folder.
                           return "\n" + group_table(job, console.colors, console.glyphs) +
                                  data_notes(job.spec().output());
                         }),
              console);
  require_success(followed);
}

}  // namespace equipoise
