#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/connection.h"
#include "client/connection/interrupts.h"
#include "client/connection/job_inbox.h"
#include "client/trainjob/trainer_status.h"
#include "common/base/bounded_file.h"
#include "common/base/build_version.h"
#include "common/base/error.h"
#include "common/http/http_poster.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kLargestToken = std::uintmax_t{64} << 10;
constexpr int kLastTries = 5;

struct JobReportFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::string url, ca_file, token_file;
  int every_seconds = 10;
};

// Its file has the permissions of the pod's volume. Nothing of it is shown.
std::string read_token(const std::string& file) {
  std::string token = read_bounded_file(file, kLargestToken, "a token");
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  // Anything else would end the header that it is in.
  const bool is_one_word = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  if (token.empty() || !is_one_word) throw std::invalid_argument(file + ": holds no token, expected one word");
  return token;
}

// The token is read anew for each post, as Kubernetes changes it.
HttpAnswer post_status(HttpPoster& poster, const JobReportFlags& flags, const v1::TrainingJob& job) {
  HttpHeaders headers = {{"Content-Type", "application/json"}, {"User-Agent", "equipoise/" + build_version()}};
  try {
    headers.emplace_back("Authorization", "Bearer " + read_token(flags.token_file));
  } catch (const std::exception& unreadable) {
    return {.status = 0, .what = unreadable.what()};
  }
  return poster.post(headers, trainer_status_json(job, std::chrono::system_clock::now()));
}

bool is_taken(const HttpAnswer& answer) { return answer.status >= 200 && answer.status < 300; }

// Says what happens once, and again where something else does.
class ReportNotes {
 public:
  explicit ReportNotes(const Console& console) : console_(console) {}
  void say(const std::string& what) {
    if (what == last_) return;
    last_ = what;
    if (!what.empty()) console_.err << "equipoise jobs report: " << what << std::endl;
  }

 private:
  const Console& console_;
  std::string last_;
};

// Nothing where the coordinator is away or cannot say: ranks wait for it as well, and so does this.
std::optional<v1::TrainingJob> job_now(std::optional<Connection>& connection, const JobReportFlags& flags,
                                       const StopRequest& stop, ReportNotes& notes) {
  try {
    if (!connection) connection.emplace(flags.coordinator.connect(stop));
    return connection->get_job(flags.id);
  } catch (const PeerError& away) {
    notes.say(away.what());
    return std::nullopt;
  }
}

void report_job(const JobReportFlags& flags, const Console& console) {
  const HttpAddress address = parse_http_address("--status-url", flags.url);
  if (!address.is_https) throw std::invalid_argument("--status-url is not https://: the token would go in plain text");
  read_token(flags.token_file);
  JobInbox inbox;
  HttpPoster poster({.address = address, .ca_file = flags.ca_file});
  const Interrupts interrupts([&](int signal) {
    inbox.interrupt(signal);
    poster.stop();
  });
  const StopRequest stop = [&inbox] { return inbox.interrupted(); };
  ReportNotes notes(console);
  std::optional<Connection> connection;
  int last_tries = 0;
  while (true) {
    const auto job = job_now(connection, flags, stop, notes);
    if (job) {
      const HttpAnswer answer = post_status(poster, flags, *job);
      const bool has_ended = is_final(job->state());
      notes.say(is_taken(answer) ? "" : address.origin() + " does not take the status: " + answer.what);
      if (has_ended && is_taken(answer)) return;
      if (has_ended && ++last_tries == kLastTries) {
        throw CommandError(ExitCode::kFailure, "the job has ended, and its last status was not taken: " + answer.what);
      }
    }
    if (!inbox.interrupted()) inbox.wait(std::chrono::seconds(flags.every_seconds));
    if (inbox.interrupted()) throw CommandError(ExitCode::kInterrupted, "interrupted; the job goes on");
  }
}

}  // namespace

void add_jobs_report_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<JobReportFlags>();
  CLI::App* verb = parent.add_subcommand("report", "Tell Kubeflow Trainer how far a job is, until it ends");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  verb->add_option("--status-url", flags->url, "Where the status of the TrainJob is posted to")
      ->type_name("URL")
      ->envname("KUBEFLOW_TRAINER_SERVER_URL")
      ->required();
  verb->add_option("--status-ca", flags->ca_file,
                   "Who signs the certificate there, PEM; default: those of this machine")
      ->type_name("FILE")
      ->envname("KUBEFLOW_TRAINER_SERVER_CA_CERT");
  verb->add_option("--status-token-file", flags->token_file, "The token to show there")
      ->type_name("FILE")
      ->envname("KUBEFLOW_TRAINER_SERVER_TOKEN")
      ->required();
  verb->add_option("--every", flags->every_seconds, "Between two posts")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  flags->coordinator.add_to(*verb);
  verb->footer(
      "Trainer gives the variables to its containers where its feature TrainJobStatus is on. What cannot be posted is\n"
      "posted anew the next time; a coordinator that is away is waited for.\n"
      "Exit code: 0 the last status was taken, 2 bad input, 1 it was not, 130 interrupted.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { report_job(*flags, console); }; });
}

}  // namespace equipoise
