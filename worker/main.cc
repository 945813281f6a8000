// equipoise-worker: one rank of a training job or of an evaluation, started by mpirun.
#include <signal.h>
#include <sys/prctl.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/activity_file.h"
#include "common/base/build_version.h"
#include "common/base/environment.h"
#include "common/base/error.h"
#include "common/base/host_port.h"
#include "common/base/message_text.h"
#include "common/base/network_interfaces.h"
#include "common/base/service_access.h"
#include "common/base/standard_streams.h"
#include "common/config/path_roots.h"
#include "common/process/earlier_process.h"
#include "common/protocol/reconnection.h"
#include "worker/client/heartbeat.h"
#include "worker/client/reach.h"
#include "worker/collective/cpu_collective.h"
#include "worker/collective/host_resources.h"
#include "worker/evaluate/evaluation_run.h"
#include "worker/language_model/device_advice.h"
#include "worker/language_model/language_model.h"
#include "worker/log.h"
#include "worker/log_linear/log_linear_policy.h"
#include "worker/model/merged_model.h"
#include "worker/training/noted_collective.h"
#include "worker/training/training_run.h"

namespace equipoise {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitBadInput = 2;
constexpr int kExitAskedToEnd = 77;

struct WorkerOptions {
  std::string coordinator;
  std::string job;
  int wait_seconds = 30;
  int start_timeout_seconds = 120;
  std::string log_level = "info";
  ServiceFiles files;
};

// A GPU is opened for language models alone: log-linear ones compute on the CPU, however many GPUs there are.
void run_job(const RunContext& context, const WaitReason& reason) {
  RankProgress& progress = context.heartbeat.progress();
  if (context.config.log_linear) return run_training(context, load_log_linear_policy);
  DeviceCollective device = open_device(context.local, context.host);
  join_gpu_ranks(device, context.host, {kCollectiveTimeout, &reason});
  if (device.over_gpu) device.over_gpu = std::make_unique<NotedCollective>(std::move(device.over_gpu), progress);
  run_training(context, [&device](const RunContext& job) { return load_language_model(job, device); });
}

// What EQUIPOISE_DEVICE asks for. A value that is not right is told to the coordinator once the rank is registered,
// which it is on the CPU until then: only there the job learns that its input is at fault.
struct WantedDevice {
  std::string device = "cpu";
  std::exception_ptr refused;
};

WantedDevice device_of_rank() {
  try {
    return {.device = wanted_device(), .refused = nullptr};
  } catch (const std::invalid_argument&) {
    return {.device = "cpu", .refused = std::current_exception()};
  }
}

// By the first rank alone: the others of a job are started alike.
void warn_of_unknown_variables(spdlog::logger& log, const MpiSession& session) {
  if (session.info().rank != 0) return;
  for (const std::string& unknown : unknown_variables()) log.warn("{}", unknown);
}

// Ranks wait in a collective for the one that waits for the coordinator.
std::chrono::seconds collective_timeout(const WorkerOptions& options) {
  return kCollectiveTimeout + std::chrono::seconds(options.wait_seconds);
}

// Of a job that the coordinator launched; else empty.
std::string attempt_token() {
  const char* const token = std::getenv("EQUIPOISE_ATTEMPT_TOKEN");
  return token == nullptr ? "" : token;
}

// Those that the coordinator allows; of a job that users start, theirs alone to decide.
PathRoots allowed_folders() {
  const char* const folders = std::getenv(kRootsVariable);
  return folders == nullptr ? PathRoots() : PathRoots::from_text(folders);
}

// Why a rank ended goes to the coordinator, if it got that far, and to standard error.
void run_rank(const WorkerOptions& options, const MpiSession& session) {
  check_coordinator_address(options.coordinator);
  const auto log = make_logger("equipoise-worker", options.log_level);
  CoordinatorClient client(options.coordinator, std::chrono::seconds(options.wait_seconds), attempt_token(),
                           read_service_access(options.files));
  client.set_on_hold([&log](const std::string& sentence) { log->info("{}", sentence); });
  WaitReason reason;
  const WaitLimit limit(collective_timeout(options), &reason);
  RankProgress progress;
  progress.set_polls([&reason] { return reason.polls(); });
  NotedCollective host(make_mpi_collective(session, limit), progress);
  NotedCollective local(make_host_collective(session, limit), progress);
  const WantedDevice wanted = device_of_rank();
  const Registration registration =
      register_rank(client, options.job, {.info = session.info(), .device = wanted.device}, host);
  Heartbeat heartbeat(
      client, registration.attempt, session.info().rank, [&reason] { reason.renew(); }, &progress);
  log->sinks().push_back(std::make_shared<WarningSink>(heartbeat));
  warn_of_unknown_variables(*log, session);
  const auto report = [&](const std::exception& failure) {
    report_failure(client, registration.attempt, session.info().rank, failure);
  };
  std::optional<JobConfig> config;
  try {
    if (wanted.refused) std::rethrow_exception(wanted.refused);
    config = make_job_config(registration.spec);
    allowed_folders().check(*config);  // again, as files of this host are
    const int threads = threads_per_rank(local);
    torch::set_num_threads(threads);
    const RunContext context{.client = client,
                             .log = *log,
                             .heartbeat = heartbeat,
                             .registration = registration,
                             .config = *config,
                             .host = host,
                             .local = local,
                             .threads = threads,
                             .device = config->log_linear ? "cpu" : wanted.device,
                             .program = "equipoise-worker " EQUIPOISE_VERSION};
    run_job(context, reason);
  } catch (const std::exception& failure) {
    // Also after AttemptEnded: the coordinator then knows that this rank has left.
    if (const auto refused = config ? out_of_memory(failure, *config) : std::nullopt) {
      report(*refused);
      throw *refused;
    }
    report(failure);
    throw;
  }
}

void run_evaluation_rank(const EvaluationFiles& files, const MpiSession& session) {
  const auto log = make_logger("equipoise-worker", "info");
  warn_of_unknown_variables(*log, session);
  const auto host = make_mpi_collective(session, kCollectiveTimeout);
  const auto local = make_host_collective(session, kCollectiveTimeout);
  const DeviceCollective device = open_device(*local, *host);
  const int threads = threads_per_rank(*local);
  torch::set_num_threads(threads);
  try {
    run_evaluation({.files = files, .log = *log, .host = *host, .device = device.device, .threads = threads});
  } catch (const std::exception& failure) {
    if (const auto refused = out_of_memory_of_evaluation(failure)) throw *refused;
    throw;
  }
}

struct MergeFiles {
  std::string model, adapter, output;
  std::string activity;  // an ActivityFile; empty: none
};

void run_merge(const MergeFiles& files) {
  ActivityFile activity(files.activity);
  const MergeReport report = merge_adapter(
      files.model, files.adapter, files.output,
      [&](const std::string& part, std::int64_t percent) { activity.tell({.name = part, .percent = percent}); });
  std::printf("%s\n", merge_text(report).c_str());
}

// Whether the ranks of an mpirun reach each other, by adding their numbers, and the coordinator, if there is one. The
// first says how far the clocks of their hosts are apart.
void run_meeting(const MpiSession& session, const std::string& coordinator) {
  constexpr std::chrono::seconds kLongest{45};
  constexpr std::chrono::milliseconds kLongestConnection{10'000};
  if (!coordinator.empty()) check_coordinator_address(coordinator);
  const auto ranks = make_mpi_collective(session, kLongest);
  const RankInfo info = session.info();
  double sum = info.rank;
  ranks->all_reduce_sum(std::span(&sum, 1));
  const double world = info.world_size;
  if (sum != world * (world - 1) / 2) throw PeerError("the ranks' numbers do not add up");
  // All are here: what their clocks say is of one moment.
  std::vector<double> clock_W(static_cast<std::size_t>(info.world_size));
  clock_W[static_cast<std::size_t>(info.rank)] =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  ranks->all_reduce_sum(clock_W);
  const std::string why =
      coordinator.empty() ? "" : why_out_of_reach(*parse_host_port(coordinator), kLongestConnection);
  // The end of one ends all: each has tried by then.
  ranks->all_reduce_sum(std::span(&sum, 1));
  if (!why.empty()) {
    throw PeerError(host_name("a host") + " cannot reach the coordinator at " + coordinator + ": " + why);
  }
  const auto [earliest, latest] = std::ranges::minmax_element(clock_W);
  if (info.rank == 0) std::printf("%d ranks, clocks %.1f s apart\n", info.world_size, *latest - *earliest);
}

// Which of these processes of this host are there yet: what is asked of a host where ranks may have survived SIGKILL.
void run_processes(const std::vector<std::string>& texts) {
  std::vector<EarlierProcess> processes;
  for (const std::string& text : texts) processes.push_back(parse_earlier_process(text));
  std::fputs(processes_text(processes).c_str(), stderr);
}

CLI::App* add_evaluate(CLI::App& app, EvaluationFiles& files) {
  CLI::App* const evaluate = app.add_subcommand("evaluate", "One rank of `equipoise evaluate`, which starts it");
  evaluate->add_option("--request", files.request, "job file that says what is evaluated")->required();
  evaluate->add_option("--pairs", files.pairs, "existing file that receives a line per pair")->required();
  evaluate->add_option("--summary", files.summary, "file that receives the table's numbers")->required();
  evaluate->add_option("--activity", files.activity, "file that says how far it is");
  return evaluate;
}

CLI::App* add_merge(CLI::App& app, MergeFiles& files) {
  CLI::App* const merge = app.add_subcommand("merge", "The work of `equipoise export`, which starts it");
  merge->add_option("--model", files.model, "Hugging Face folder")->required();
  merge->add_option("--adapter", files.adapter, "folder of its adapter")->required();
  merge->add_option("--output", files.output, "folder that receives the merged model")->required();
  merge->add_option("--activity", files.activity, "file that says how far it is");
  return merge;
}

// Its last word, for people and for the one who reads the log: one line.
void say_why(const std::string& text) {
  std::fprintf(stderr, "equipoise-worker: %s\n", one_line(text, text.size()).c_str());
}

// The work of this process, its end as an exit code and, unless all went well, one line on standard error.
int run(const std::function<void()>& work) {
  try {
    work();
    return EXIT_SUCCESS;
  } catch (const AttemptEnded& ended) {
    say_why(ended.what());
    std::_Exit(kExitAskedToEnd);
  } catch (const std::invalid_argument& refused) {
    say_why(refused.what());
    std::_Exit(kExitBadInput);
  } catch (const std::exception& failure) {
    say_why(failure_text(failure));
    std::_Exit(kExitFailed);
  }
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  equipoise::open_standard_streams();
  // A rank never outlives the launcher that started it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Nor does it end because nobody reads its log any more.
  signal(SIGPIPE, SIG_IGN);

  equipoise::find_coordinators_again_soon();

  equipoise::WorkerOptions options;
  equipoise::EvaluationFiles files;
  equipoise::MergeFiles merged;
  CLI::App app{
      "One rank of an Equipoise training job.\n"
      "Start as many as you have GPUs:  mpirun --bind-to none -np 2 equipoise-worker --coordinator HOST:PORT --job ID",
      "equipoise-worker"};
  app.set_version_flag("--version", "equipoise-worker " + equipoise::build_version(), "print what this is and exit");
  app.add_option("--coordinator", options.coordinator, "HOST:PORT of equipoise-coordinator; required")
      ->envname("EQUIPOISE_COORDINATOR");
  app.add_option("--job", options.job, "id of the job, as `equipoise submit` printed it; required");
  app.add_option("--wait", options.wait_seconds,
                 "seconds to wait for the coordinator, at the start and whenever it is away")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--start-timeout", options.start_timeout_seconds, "seconds to wait for the other ranks at the start")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--tls-ca", options.files.tls_ca, "call the coordinator over TLS; who signs its certificate, PEM")
      ->envname(equipoise::kTlsCaVariable);
  app.add_option("--tls-cert", options.files.tls_cert, "certificate to show it, PEM")
      ->envname(equipoise::kTlsCertVariable);
  app.add_option("--tls-key", options.files.tls_key, "private key of --tls-cert, PEM")
      ->envname(equipoise::kTlsKeyVariable);
  app.add_option("--token-file", options.files.token_file,
                 "token of the user whose ranks these are; not for ranks that the coordinator launches")
      ->envname(equipoise::kTokenFileVariable);
  app.add_option("--log-level", options.log_level, equipoise::log_level_names())->capture_default_str();
  const CLI::App* const evaluate = equipoise::add_evaluate(app, files);
  const CLI::App* const merge = equipoise::add_merge(app, merged);
  std::vector<std::string> wanted;
  CLI::App* const processes = app.add_subcommand("processes", "Which ranks of before are left, for the coordinator");
  processes->add_option("PID:SECONDS", wanted, "process, and for how long it has run at least")->required();
  const CLI::App* const meet = app.add_subcommand(
      "meet", "Whether ranks reach each other, and --coordinator if it is given, for `equipoise doctor`");
  try {
    app.parse(argc, argv);
    const bool is_rank = !*evaluate && !*merge && !*meet && !*processes;
    if (is_rank && options.coordinator.empty()) throw CLI::RequiredError("--coordinator");
    if (is_rank && options.job.empty()) throw CLI::RequiredError("--job");
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "equipoise-worker: %s; see equipoise-worker --help\n", wrong.what());
    return equipoise::kExitBadInput;
  }
  std::optional<equipoise::MpiSession> session;
  const int code = equipoise::run([&] {
    if (*merge) return equipoise::run_merge(merged);
    if (*processes) return equipoise::run_processes(wanted);
    session.emplace(std::chrono::seconds(options.start_timeout_seconds));
    if (*evaluate) return equipoise::run_evaluation_rank(files, *session);
    if (*meet) return equipoise::run_meeting(*session, options.coordinator);
    equipoise::run_rank(options, *session);
  });
  session.reset();
  // Without the destructors of CUDA's libraries, which may end a process whose work is done with another exit code.
  std::fflush(nullptr);
  std::_Exit(code);
}
