#include "coordinator/options.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "common/base/build_version.h"
#include "common/base/message_text.h"
#include "common/base/nearest_name.h"
#include "common/base/network_interfaces.h"
#include "common/process/machine_ranks.h"
#include "coordinator/launch/hostfile.h"
#include "coordinator/service/listen_address.h"

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kBytesOfMiB = 1024 * 1024;
constexpr std::chrono::seconds kBetweenQuestions{30};  // to a host that does not answer
constexpr std::chrono::seconds kBetweenLooksHere{2};   // at processes of this machine, which cost nothing

struct Texts {
  std::string listen = "127.0.0.1:7443";
  std::string http_listen = "127.0.0.1:9464";
  std::string state = "./equipoise-state";
  std::string announce, mpirun = "mpirun", worker, hostfile, advertise, private_folder;
  std::vector<std::string> roots;
  std::string tls_cert, tls_key, tls_client_ca, tokens;
  ServiceFiles rank_files;
  std::string log_level = "info";
  std::string on_shutdown = "leave";
  int max_running_jobs = 1;
  int shutdown_grace = 20;
  int rank_wait = 30;
  int preemption_grace = 120;
  int stall_timeout = 30;
  std::int64_t max_history = 1024;
  std::string webhook, webhook_secret_file, webhook_ca;
  bool allocation = false;
  bool insecure = false;
  bool insecure_metrics = false;
  bool open_health = false;
  bool exit_with_parent = false;
  bool check = false;
  bool quarantine = false;
};

void declare(CLI::App& app, Texts& texts) {
  app.set_version_flag("--version", "equipoise-coordinator " + build_version());
  app.add_option("--listen", texts.listen, "HOST:PORT of the gRPC services; port 0: any free one")
      ->capture_default_str();
  app.add_option("--http-listen,--metrics-listen", texts.http_listen,
                 "HOST:PORT of the page, its API and /metrics for Prometheus; empty: none")
      ->capture_default_str();
  app.add_option("--state", texts.state, "Folder of the database, the lock and the logs")->capture_default_str();
  app.add_option("--announce", texts.announce, "File to write the addresses and the pid to, as JSON, once serving");
  app.add_option("--mpirun", texts.mpirun, "Program that launches the ranks")->capture_default_str();
  app.add_option("--worker", texts.worker, "Program of a rank; default: equipoise-worker beside this program");
  app.add_option("--hostfile", texts.hostfile, "mpirun's list of hosts; default: this machine only");
  app.add_flag(
      "--allocation", texts.allocation,
      "Launch ranks on all nodes of the Slurm, PBS, LSF or Grid Engine job that this program runs in; default: "
      "such a job counts for nothing");
  app.add_option("--advertise", texts.advertise, "Host name under which ranks on other machines reach this one");
  app.add_option("--max-running-jobs", texts.max_running_jobs, "Jobs launched at the same time; others stay QUEUED")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--shutdown-grace", texts.shutdown_grace,
                 "Seconds at SIGTERM for ranks that train to leave with a checkpoint; 0: they are ended at once")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  app.add_option("--rank-wait", texts.rank_wait,
                 "Seconds that ranks wait for a coordinator that is away, before they end themselves")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--preemption-grace", texts.preemption_grace,
                 "Seconds for the ranks of a job to leave with a checkpoint, where one of a higher priority needs the "
                 "room; then they are ended")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--stall-timeout", texts.stall_timeout,
                 "Seconds that a rank may stand still in a step before its attempt has failed; ten of the job's own "
                 "steps where those take longer")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option(
         "--on-shutdown", texts.on_shutdown,
         "What ranks do at SIGTERM. leave: make a checkpoint and end; keep: wait for the next coordinator on the "
         "same state folder and port")
      ->check(CLI::IsMember({"leave", "keep"}))
      ->capture_default_str();
  app.add_option("--max-history", texts.max_history,
                 "MiB that the steps of a job may take in the database; beyond, one in 16 of the oldest stays")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--tls-cert", texts.tls_cert,
                 "The service's certificate and its chain, PEM; read again when it changes")
      ->type_name("FILE");
  app.add_option("--tls-key", texts.tls_key, "The private key of --tls-cert, PEM")->type_name("FILE");
  app.add_option("--tls-client-ca", texts.tls_client_ca,
                 "Who signs the certificates of callers, PEM: with it nobody connects without one")
      ->type_name("FILE");
  app.add_option("--tls-ca", texts.rank_files.tls_ca, "With which ranks that are launched check --tls-cert, PEM")
      ->envname(kTlsCaVariable)
      ->type_name("FILE");
  app.add_option("--rank-cert", texts.rank_files.tls_cert, "The certificate that these ranks show to --tls-client-ca")
      ->envname(kTlsCertVariable)
      ->type_name("FILE");
  app.add_option("--rank-key", texts.rank_files.tls_key, "The private key of --rank-cert")
      ->envname(kTlsKeyVariable)
      ->type_name("FILE");
  app.add_option(
         "--tokens", texts.tokens,
         "Who may call: a line ROLE NAME SHA256 for each token, as `equipoise token create` prints it; mode 0600; "
         "read again when it changes")
      ->type_name("FILE");
  app.add_flag("--open-health", texts.open_health,
               "With --tokens: tell everybody whether this service serves (grpc.health.v1), as probes show no token");
  app.add_option("--root", texts.roots,
                 "Folder that data, models and outputs of jobs must be in; may be repeated; default: any folder")
      ->type_name("DIR")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--webhook", texts.webhook, "https:// or http:// URL to which every event of a job is sent, as JSON")
      ->type_name("URL");
  app.add_option(
         "--webhook-secret-file", texts.webhook_secret_file,
         "A secret of 16 characters or more, with which what is sent is signed; mode 0600; read again each time")
      ->type_name("FILE");
  app.add_option("--webhook-ca", texts.webhook_ca,
                 "With which the certificate of --webhook is checked, PEM; default: those of this machine")
      ->type_name("FILE");
  app.add_flag("--insecure", texts.insecure,
               "Listen where other machines can connect, without TLS and tokens: whoever reaches the port reads, makes "
               "and ends all jobs, with files as this user");
  app.add_flag(
      "--insecure-metrics", texts.insecure_metrics,
      "Let other machines read /metrics, over plain HTTP and without a token; the page and its API stay closed to "
      "them without --tls-cert and --tokens");
  app.add_flag("--exit-with-parent", texts.exit_with_parent, "Stop when the process that started this one ends");
  app.add_option("--private-folder", texts.private_folder,
                 "Folder to remove at the end if the process that started this one has ended before");
  CLI::Option* const check =
      app.add_flag("--check", texts.check,
                   "Say which jobs of the state folder are damaged, change nothing, and end: exit code "
                   "0, or 1 where there are any");
  app.add_flag("--quarantine", texts.quarantine,
               "With --check: set those jobs aside, so that they are not read any more; what is stored of them stays")
      ->needs(check);
  app.add_option("--log-level", texts.log_level, "What to log to standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
}

std::filesystem::path worker_beside_us() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "equipoise-worker";
}

std::filesystem::path existing_file(const std::string& flag, const std::string& text) {
  const std::filesystem::path path = std::filesystem::absolute(text);
  if (std::filesystem::is_regular_file(path)) return path;
  throw std::invalid_argument(flag + " is \"" + text + "\", expected a file that is there");
}

// What other machines can reach asks who calls, and is not read on the way.
ListenAddress checked_listen(const Texts& texts) {
  ListenAddress address = parse_listen_address("--listen", texts.listen);
  const bool has_tls = !texts.tls_cert.empty(), has_tokens = !texts.tokens.empty();
  if (has_tokens && !has_tls && !address.is_loopback()) {
    throw std::invalid_argument("--tokens without --tls-cert: tokens would cross the network to " + address.text() +
                                " in plain text; expected --tls-cert and --tls-key, or a loopback address");
  }
  if (texts.insecure || (has_tls && has_tokens)) return address;
  check_loopback("--listen", address,
                 "--tls-cert, --tls-key and --tokens, or --insecure on a network where everybody is trusted");
  return address;
}

// The page is as closed as the service; /metrics alone may be read by others than its callers.
std::optional<ListenAddress> checked_http_listen(const Texts& texts) {
  if (texts.http_listen.empty()) return std::nullopt;
  ListenAddress address = parse_listen_address("--http-listen", texts.http_listen);
  const bool asks_who_calls = !texts.tls_cert.empty() && !texts.tokens.empty();
  if (texts.insecure || texts.insecure_metrics || asks_who_calls) return address;
  check_loopback("--http-listen", address,
                 "--tls-cert, --tls-key and --tokens, or --insecure-metrics where everybody may read the names of jobs "
                 "and groups, and their losses");
  return address;
}

PathRoots checked_roots(const std::vector<std::string>& texts) {
  std::vector<std::filesystem::path> folders;
  for (const std::string& text : texts) {
    std::error_code ignored;
    // Ranks are told of all roots in one text, with the ends of links.
    const std::string whole = std::filesystem::canonical(text, ignored).string();
    if (!std::filesystem::is_directory(text, ignored) || (text + whole).find(':') != std::string::npos) {
      throw std::invalid_argument("--root is \"" + text + "\", expected a folder that is there, without a colon");
    }
    folders.emplace_back(text);
  }
  return PathRoots(folders);
}

std::optional<TlsFiles> checked_tls(const Texts& texts) {
  if (texts.tls_cert.empty() != texts.tls_key.empty()) {
    throw std::invalid_argument("--tls-cert and --tls-key go together: the service's certificate and its private key");
  }
  if (texts.tls_cert.empty() && !texts.tls_client_ca.empty()) {
    throw std::invalid_argument("--tls-client-ca needs --tls-cert: callers show certificates over TLS alone");
  }
  if (texts.tls_cert.empty()) return std::nullopt;
  TlsFiles files{.certificate = existing_file("--tls-cert", texts.tls_cert),
                 .key = existing_file("--tls-key", texts.tls_key),
                 .client_ca = std::nullopt};
  if (!texts.tls_client_ca.empty()) files.client_ca = existing_file("--tls-client-ca", texts.tls_client_ca);
  check_tls_files(files);
  return files;
}

std::optional<WebhookSettings> checked_webhook(const Texts& texts) {
  if (texts.webhook.empty()) {
    if (texts.webhook_secret_file.empty() && texts.webhook_ca.empty()) return std::nullopt;
    throw std::invalid_argument("--webhook-secret-file and --webhook-ca need --webhook: the URL that events go to");
  }
  WebhookSettings settings{.address = parse_http_address("--webhook", texts.webhook)};
  settings.user_agent = std::string("equipoise-coordinator/") + EQUIPOISE_VERSION;
  if (!texts.webhook_secret_file.empty()) {
    settings.secret_file = existing_file("--webhook-secret-file", texts.webhook_secret_file);
    read_webhook_secret(settings.secret_file);
  }
  if (!texts.webhook_ca.empty()) {
    if (!settings.address.is_https) throw std::invalid_argument("--webhook-ca needs a --webhook of https://");
    settings.ca_file = existing_file("--webhook-ca", texts.webhook_ca);
  }
  return settings;
}

// Ranks are started in folders of their own, so that names of files are absolute.
ServiceFiles checked_rank_files(const Texts& texts) {
  if (texts.tls_cert.empty()) return {};  // of another service, where the environment names any
  if (texts.rank_files.tls_ca.empty()) {
    throw std::invalid_argument(
        "--tls-cert needs --tls-ca: the certificate authority with which ranks check the service's certificate");
  }
  if (!texts.tls_client_ca.empty() && texts.rank_files.tls_cert.empty()) {
    throw std::invalid_argument(
        "--tls-client-ca needs --rank-cert and --rank-key: what ranks show that this coordinator launches");
  }
  read_service_access(texts.rank_files);
  const auto absolute = [](const std::string& file) {
    return file.empty() ? "" : std::filesystem::absolute(file).string();
  };
  return {.tls_ca = absolute(texts.rank_files.tls_ca),
          .tls_cert = absolute(texts.rank_files.tls_cert),
          .tls_key = absolute(texts.rank_files.tls_key),
          .token_file = ""};
}

Allocation checked_allocation(bool is_wanted) {
  if (is_wanted && !allocation_text()) {
    throw std::invalid_argument(
        "--allocation: this program runs in no job of a batch system, expected one of Slurm, PBS, LSF or Grid Engine "
        "(SLURM_JOB_ID, PBS_JOBID, LSB_JOBID or PE_HOSTFILE is set there)");
  }
  return is_wanted ? Allocation::kUsed : Allocation::kIgnored;
}

OnShutdown checked_on_shutdown(const Texts& texts) {
  if (texts.on_shutdown == "leave") return OnShutdown::kLeave;
  if (!texts.exit_with_parent) return OnShutdown::kKeep;
  throw std::invalid_argument(
      "--on-shutdown is \"keep\", but with --exit-with-parent nothing outlives this program; expected leave");
}

Options options_of(const Texts& texts) {
  Options options;
  options.server.build = {.version = EQUIPOISE_VERSION, .revision = revision()};
  options.server.listen = checked_listen(texts);
  options.server.http_listen = checked_http_listen(texts);
  options.server.is_open = texts.insecure;
  options.server.has_open_metrics = texts.insecure_metrics;
  if (!texts.tokens.empty()) options.server.access.tokens = existing_file("--tokens", texts.tokens);
  options.server.access.has_open_health = texts.open_health;
  options.server.roots = checked_roots(texts.roots);
  options.server.tls = checked_tls(texts);
  options.server.rank_files = checked_rank_files(texts);
  options.server.webhook = checked_webhook(texts);
  if (texts.state.empty()) throw std::invalid_argument("--state is empty, expected a folder");
  options.server.state = std::filesystem::absolute(texts.state);
  options.server.mpirun = texts.mpirun.find('/') == std::string::npos ? std::filesystem::path(texts.mpirun)
                                                                      : existing_file("--mpirun", texts.mpirun);
  options.server.worker = texts.worker.empty() ? worker_beside_us() : existing_file("--worker", texts.worker);
  if (!texts.hostfile.empty()) {
    options.server.hostfile = existing_file("--hostfile", texts.hostfile);
    options.server.controller.supervisor.hosts = read_hostfile(options.server.hostfile);
    options.server.controller.supervisor.launcher = "mpirun --hostfile " + options.server.hostfile.string();
  }
  options.server.controller.supervisor.host_rules.between_questions = kBetweenQuestions;
  options.server.allocation = checked_allocation(texts.allocation);
  if (options.server.allocation == Allocation::kUsed) {
    options.server.controller.supervisor.launcher = "mpirun in " + allocation_text().value();
  }
  if (options.server.allocation == Allocation::kIgnored && texts.hostfile.empty()) {
    options.server.controller.supervisor.this_machine = host_name("this machine");
    options.server.controller.supervisor.host_rules.between_questions = kBetweenLooksHere;
    options.server.controller.supervisor.most_workers = most_ranks_of_this_machine();
  }
  if (!texts.advertise.empty()) options.server.advertise = checked_advertise(texts.advertise);
  check_reachable(rank_address_settings(options.server), options.server.listen);
  options.server.controller.supervisor.max_running_jobs = texts.max_running_jobs;
  options.server.controller.supervisor.preemption_grace = std::chrono::seconds(texts.preemption_grace);
  options.server.controller.supervisor.deadlines.training = std::chrono::seconds(texts.stall_timeout);
  options.server.shutdown_grace = std::chrono::seconds(texts.shutdown_grace);
  options.server.controller.supervisor.lease.rank_wait = std::chrono::seconds(texts.rank_wait);
  options.server.on_shutdown = checked_on_shutdown(texts);
  options.server.chain = texts.exit_with_parent ? Chain::kToCoordinator : Chain::kNone;
  options.server.controller.limits.history_bytes = texts.max_history * kBytesOfMiB;
  if (!texts.announce.empty()) options.announce = texts.announce;
  if (!texts.private_folder.empty()) options.private_folder = std::filesystem::absolute(texts.private_folder);
  options.server.controller.supervisor.is_last = options.private_folder.has_value();
  options.exit_with_parent = texts.exit_with_parent;
  options.log_level = texts.log_level;
  if (texts.check) options.state_check = texts.quarantine ? StateCheck::kQuarantine : StateCheck::kCheck;
  return options;
}

std::string usage_error(const CLI::App& app, const CLI::ParseError& wrong) {
  const std::vector<std::string> unknown = app.remaining();
  if (unknown.empty()) return wrong.what();
  const std::string& word = unknown.front();
  if (!word.starts_with("--")) return "takes no " + quoted_text(word);
  std::vector<std::string> known;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back(name);
  }
  const std::string similar = similar_name(word.substr(2, word.find('=') - 2), known);
  return "unknown option " + quoted_text(word) + (similar.empty() ? "" : ", the nearest known one is --" + similar);
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  CLI::App app("Keeps training jobs: starts their ranks, owns their group weights, serves people and Prometheus.",
               "equipoise-coordinator");
  Texts texts;
  declare(app, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    app.exit(asked);
    return std::nullopt;
  } catch (const CLI::ParseError& wrong) {
    throw std::invalid_argument(usage_error(app, wrong) + "; see equipoise-coordinator --help");
  }
  return options_of(texts);
}

}  // namespace equipoise::coordinator
