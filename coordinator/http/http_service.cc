#include "coordinator/http/http_service.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/metrics/run_curves.h"
#include "coordinator/http/job_json.h"
#include "coordinator/http/log_tail.h"
#include "coordinator/http/weight_moves.h"
#include "coordinator/job/refusal.h"
#include "coordinator/page/page_files.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;

constexpr QueryRange kPoints{.least = 1, .most = 1000, .usual = 300};
constexpr QueryRange kWorst{.least = 0, .most = 32, .usual = 8};
constexpr std::size_t kMostCurveGroups = 32;
constexpr QueryRange kLogBytes{.least = 1, .most = 256 * 1024, .usual = 64 * 1024};
constexpr std::int64_t kMostSteps = std::int64_t{1} << 53;
constexpr std::size_t kMostCurvesKept = 64;
// Of an address, for what needs no token: a page makes a call or two a second, and many may come through one proxy.
constexpr CallLimits kWithoutToken{
    .answers_at_once = 256, .streams_at_once = 2048, .calls_per_second = 1000, .calls_in_a_burst = 4000};

std::string comma_separated(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

std::string_view content_type_of(std::string_view path) {
  if (path.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (path.ends_with(".css")) return "text/css; charset=utf-8";
  return path.ends_with(".svg") ? "image/svg+xml" : "text/html; charset=utf-8";
}

HttpResponse asset(std::string_view path) {
  const std::string_view name = path == "/" ? "page.html" : path.substr(1);
  return {.status = 200, .content_type = std::string(content_type_of(path)), .body = std::string(page_file(name))};
}

}  // namespace

// By what was asked, for a second, or where it took longer for twice as long as that: so what is read too slowly for
// who asked is there for the next one. May be used from any thread.
class CurvesKept {
 public:
  using Time = std::chrono::steady_clock::time_point;
  std::optional<std::string> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const Time now = std::chrono::steady_clock::now();
    std::erase_if(by_key_, [&](const auto& entry) { return entry.second.until < now; });
    const auto kept = by_key_.find(key);
    return kept == by_key_.end() ? std::nullopt : std::optional(kept->second.json);
  }
  void keep(const std::string& key, const std::string& json, Time since) {
    const std::lock_guard lock(mutex_);
    const Time now = std::chrono::steady_clock::now();
    if (by_key_.size() >= kMostCurvesKept) by_key_.clear();
    by_key_.insert_or_assign(key, Kept{.until = now + std::max<Time::duration>(1s, 2 * (now - since)), .json = json});
  }

 private:
  struct Kept {
    Time until;
    std::string json;
  };
  std::mutex mutex_;  // guards the one below
  std::map<std::string, Kept> by_key_;
};

HttpService::HttpService(const HttpSettings& settings, SharedController& shared, FilePool& files, CallGate& gate,
                         JobMetrics& metrics, const Clock& clock)
    : settings_(settings),
      shared_(shared),
      metrics_(metrics),
      boundary_(gate, metrics, "TrainingJobService"),
      without_token_(kWithoutToken, clock),
      curves_(std::make_shared<CurvesKept>()),
      feed_(shared),
      files_(files) {
  server_ = std::make_unique<HttpServer>(
      settings.listen, settings.tls, settings.limits,
      [this](const SharedRequest& request, const HttpPeer& peer) { return turn(request, peer); },
      [this] { feed_.wake(); });
  feed_.start(*server_);
}

HttpService::~HttpService() {
  feed_.stop();
  files_.stop();  // before the server that it answers to
  server_->stop();
}

HttpTurn HttpService::turn(const SharedRequest& request, const HttpPeer& peer) {
  const RouteMatch match = match_route(request->method, request->path);
  if (match.methods.empty()) return plain_answer(404, "there is nothing of this name");
  if (match.route == nullptr) {
    const bool is_question = request->method == "OPTIONS";
    HttpResponse other = is_question ? HttpResponse{.status = 204, .content_type = "", .body = ""}
                                     : plain_answer(405, "this name has other methods");
    other.fields.emplace_back("Allow", comma_separated(match.methods) + ", OPTIONS");
    return other;
  }
  if (auto refused = refused_at_the_door(settings_.access, match.route->part, *request, peer)) return *refused;
  switch (match.route->part) {
    case HttpPart::kHealth:
      return health(peer);
    case HttpPart::kPage:
      return asset(request->path);
    case HttpPart::kMetrics:
      if (!metrics_need_token(settings_.access)) return open_page(peer, "/metrics", &HttpService::metrics_page);
      return call(request, peer, match);
    case HttpPart::kApi:
      return call(request, peer, match);
  }
  return plain_answer(404, "there is nothing of this name");
}

// What needs no token.
HttpTurn HttpService::open_page(const HttpPeer& peer, const char* page, HttpResponse (HttpService::*make)()) {
  std::shared_ptr<const AdmittedCall> admitted;
  try {
    without_token_.enter(peer.address, CallKind::kAnswer);
    admitted = std::make_shared<AdmittedCall>(without_token_, peer.address, CallKind::kAnswer);
  } catch (const Refusal& refusal) {
    return plain_answer(429, refusal.what());
  }
  return HttpWork{.caller = page + (" of " + peer.address),
                  .make = [this, make, admitted](const HttpDone& done) { done((this->*make)()); }};
}

std::shared_ptr<const AdmittedCall> HttpService::admit(const HttpRequest& request, const HttpPeer& peer,
                                                       const HttpRoute& route) {
  CallCredentials credentials{
      .authorization = request.fields_of("authorization"), .has_attempt_token = false, .peer = peer.text};
  const auto admitted = boundary_.admit(credentials, route.rpc);
  if (settings_.access.has_tokens) return admitted;
  const CallRule* const rule = rule_of("TrainingJobService/" + std::string(route.rpc));
  without_token_.enter(peer.address, rule->kind);
  return std::make_shared<AdmittedCall>(without_token_, peer.address, rule->kind);
}

HttpTurn HttpService::call(const SharedRequest& request, const HttpPeer& peer, const RouteMatch& match) {
  const std::string rpc(match.route->rpc);
  Call call{.request = request, .match = match, .admitted = nullptr, .done = nullptr};
  const grpc::Status status =
      boundary_.let_in(rpc.c_str(), [&] { call.admitted = admit(*request, peer, *match.route); });
  if (!status.ok()) return error_answer(status);
  return HttpWork{.caller = call.admitted->name(), .make = [this, call](const HttpDone& done) mutable {
                    call.done = done;
                    serve(call);
                  }};
}

void HttpService::serve(const Call& call) {
  try {
    switch (call.match.route->call) {
      case HttpCall::kReadCurves:
        return curves(call);
      case HttpCall::kReadMoves:
        return moves(call);
      case HttpCall::kReadLog:
        return log(call);
      default:
        return end(call, nullptr, answer(call));
    }
  } catch (...) {
    end(call, std::current_exception(), {});
  }
}

void HttpService::end(const Call& call, const std::exception_ptr& failure, HttpReply reply) const {
  const std::string rpc(call.match.route->rpc);
  const grpc::Status status = boundary_.answer(rpc.c_str(), [&] {
    if (failure != nullptr) std::rethrow_exception(failure);
  });
  if (!status.ok()) reply = error_answer(status);
  call.done(std::move(reply));
}

HttpReply HttpService::answer(const Call& call) {
  const HttpRequest& request = *call.request;
  switch (call.match.route->call) {
    case HttpCall::kMetrics:
      return metrics_page();
    case HttpCall::kWatchJobs:
      check_query(request, {});
      return HttpStream{.topic = std::string(kAllJobs), .place = call.admitted};
    case HttpCall::kWatchJob:
      check_query(request, {});
      shared_.read([&](JobController& core) { core.training_jobs().get(call.match.id); });
      return HttpStream{.topic = call.match.id, .place = call.admitted};
    default:
      return json_answer(request.method == "POST" ? change(request, call.match, *call.admitted)
                                                  : read(request, call.match));
  }
}

std::string HttpService::read(const HttpRequest& request, const RouteMatch& match) {
  const auto read_from = [&](const auto& message, const auto& call) {
    return json_of(shared_.read([&](JobController& core) { return call(core, message); }));
  };
  switch (match.route->call) {
    case HttpCall::kListJobs: {
      v1::ListTrainingJobsRequest fields;
      read_fields(request, fields);
      return read_from(fields, [](JobController& core, const auto& asked) { return core.training_jobs().list(asked); });
    }
    case HttpCall::kGetJob:
      return read_from(job_request<v1::GetTrainingJobRequest>(request, match.id),
                       [](JobController& core, const auto& asked) -> v1::TrainingJob {
                         return core.training_jobs().get(asked.id());
                       });
    case HttpCall::kListEvents:
      return read_from(job_request<v1::ListEventsRequest>(request, match.id),
                       [](JobController& core, const auto& asked) { return core.history().events(asked); });
    case HttpCall::kListAttempts:
      return read_from(job_request<v1::ListAttemptsRequest>(request, match.id),
                       [](JobController& core, const auto& asked) { return core.history().attempts(asked); });
    case HttpCall::kListCheckpoints:
      return read_from(job_request<v1::ListCheckpointsRequest>(request, match.id),
                       [](JobController& core, const auto& asked) { return core.history().checkpoints(asked); });
    case HttpCall::kListRanks:
      return read_from(job_request<v1::ListRanksRequest>(request, match.id),
                       [](JobController& core, const auto& asked) { return core.training_jobs().ranks(asked); });
    case HttpCall::kListWeights:
      return read_from(
          job_request<v1::ListGroupWeightsRequest>(request, match.id),
          [](JobController& core, const auto& asked) { return core.training_jobs().group_weights(asked); });
    default:
      throw std::logic_error("a route has no reader");
  }
}

std::string HttpService::change(const HttpRequest& request, const RouteMatch& match, const AdmittedCall& admitted) {
  const auto run = [&](const auto& message, const auto& call) {
    const v1::TrainingJob job = shared_.run([&](JobController& core) { return call(core.training_jobs(), message); });
    shared_.wake();
    return json_of(job);
  };
  const std::string& id = match.id;
  switch (match.route->call) {
    case HttpCall::kPause:
      return run(job_request<v1::PauseTrainingJobRequest>(request, id),
                 [](TrainingJobs& jobs, const auto& asked) { return jobs.pause(asked); });
    case HttpCall::kResume:
      return run(job_request<v1::ResumeTrainingJobRequest>(request, id),
                 [](TrainingJobs& jobs, const auto& asked) { return jobs.resume(asked); });
    case HttpCall::kCancel:
      return run(job_request<v1::CancelTrainingJobRequest>(request, id),
                 [](TrainingJobs& jobs, const auto& asked) { return jobs.cancel(asked); });
    case HttpCall::kCheckpoint:
      return run(job_request<v1::CheckpointTrainingJobRequest>(request, id),
                 [](TrainingJobs& jobs, const auto& asked) { return jobs.checkpoint(asked); });
    case HttpCall::kEvaluate:
      return run(job_request<v1::EvaluateTrainingJobRequest>(request, id),
                 [](TrainingJobs& jobs, const auto& asked) { return jobs.evaluate(asked); });
    case HttpCall::kUpdate: {
      // Without tokens the name is that of all callers together, and nobody's.
      const std::string requester = settings_.access.has_tokens ? admitted.name() : "";
      return run(job_request<v1::UpdateTrainingJobRequest>(request, id),
                 [&](TrainingJobs& jobs, const auto& asked) { return jobs.update(asked, requester); });
    }
    default:
      throw std::logic_error("a route has no call");
  }
}

// `work` owns all that it uses.
void HttpService::read_file(const Call& call, const std::filesystem::path& file, std::function<std::string()> work,
                            const std::function<void(const std::string&)>& use) {
  files_.run({.caller = call.admitted->name(),
              .files = {file},
              .work = [work = std::move(work)](FileRun& /*run*/) { return work(); },
              .done =
                  [this, call, use](const FileAnswer& read) {
                    try {
                      if (read.failure != nullptr) std::rethrow_exception(read.failure);
                      use(read.text);
                    } catch (...) {
                      end(call, std::current_exception(), {});
                    }
                  }});
}

void HttpService::read_file(const Call& call, const std::filesystem::path& file, std::function<std::string()> work) {
  read_file(call, file, std::move(work),
            [this, call](const std::string& text) { end(call, nullptr, json_answer(text)); });
}

void HttpService::curves(const Call& call) {
  const HttpRequest& request = *call.request;
  const std::string& id = call.match.id;
  check_query(request, {"points", "worst", "group"});
  CurveQuery query{.points = static_cast<std::size_t>(query_number(request, "points", kPoints)), .groups = {}};
  for (const auto& [name, value] : request.query) {
    if (name == "group") query.groups.push_back(value);
  }
  if (query.groups.size() > kMostCurveGroups) {
    throw std::invalid_argument("the query names more than " + std::to_string(kMostCurveGroups) + " groups");
  }
  const auto worst = static_cast<std::size_t>(query_number(request, "worst", kWorst));
  const std::filesystem::path output = shared_.read([&](JobController& core) {
    const JobRecord& record = core.table().find(id);
    if (query.groups.empty()) query.groups = worst_groups(record.job, worst);
    return record.config ? record.config->output : std::filesystem::path();
  });
  std::string key = id + '\n' + std::to_string(query.points);
  for (const std::string& group : query.groups) key.append("\n").append(group);
  if (auto kept = curves_->find(key)) return end(call, nullptr, json_answer(std::move(*kept)));
  if (output.empty()) return end(call, nullptr, json_answer(curves_json({}, query, {})));
  const std::filesystem::path file = output / "metrics.jsonl";
  read_file(call, file, [file, query, key, roots = settings_.roots, kept = curves_] {
    const auto begin = std::chrono::steady_clock::now();
    std::string json =
        curves_json(file, query, [&](const std::filesystem::path& found) { return roots.may_open(found); });
    kept->keep(key, json, begin);
    return json;
  });
}

// What asks for the file is done on a thread for files, the core's part in between.
void HttpService::moves(const Call& call) {
  const HttpRequest& request = *call.request;
  const std::string id = call.match.id;
  check_query(request, {"group", "from", "to"});
  MoveQuery query{.group = request.query_of("group").value_or(""), .from = 0, .to = 0};
  if (query.group.empty()) throw std::invalid_argument("the query has no group");
  query.to = query_number(request, "to", {.least = 1, .most = kMostSteps, .usual = 1});
  query.from = query_number(request, "from", {.least = 0, .most = query.to - 1, .usual = query.to - 1});
  const std::filesystem::path output = shared_.read([&](JobController& core) {
    const JobRecord& record = core.table().find(id);
    return record.config ? record.config->output : std::filesystem::path();
  });
  struct Found {
    MoveQuery query;
    std::optional<RunSharesFile> file;
  };
  const auto found = std::make_shared<Found>(Found{.query = std::move(query), .file = std::nullopt});
  const auto open = [found, output, roots = settings_.roots] {
    found->file.emplace(
        run_shares_file(output, [&](const std::filesystem::path& opened) { return roots.may_open(opened); }));
    found->query = narrowed(std::move(found->query), *found->file);
    return std::string();
  };
  read_file(call, output, open, [this, call, id, output, found](const std::string& /*nothing*/) {
    const HistoryRange range = history_range(found->query);
    const v1::ListGroupWeightsResponse history = shared_.read(
        [&](JobController& core) { return core.training_jobs().group_weights_from(id, range.first, range.steps); });
    read_file(call, output, [found, history] { return moves_json(found->query, history, *found->file); });
  });
}

void HttpService::log(const Call& call) {
  const HttpRequest& request = *call.request;
  const std::string& id = call.match.id;
  check_query(request, {"generation", "stream", "bytes"});
  const auto newest = shared_.read([&](JobController& core) { return core.training_jobs().get(id).generation(); });
  const std::int64_t generation =
      query_number(request, "generation", {.least = 1, .most = std::max<std::int64_t>(1, newest), .usual = newest});
  const std::string stream = request.query_of("stream").value_or("stderr");
  if (stream != "stderr" && stream != "stdout") {
    throw std::invalid_argument("the query's stream is another than stderr and stdout");
  }
  const auto most = static_cast<std::uint64_t>(query_number(request, "bytes", kLogBytes));
  const std::filesystem::path file = settings_.logs / id / std::to_string(generation) / (stream + ".log");
  read_file(call, file, [file, most, generation, stream] {
    const LogTail tail = log_tail(file, most);
    const nlohmann::json answer = {{"generation", generation},
                                   {"stream", stream},
                                   {"size", tail.size},
                                   {"begin", tail.begin},
                                   {"text", tail.text}};
    return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
}

// At once: what hangs may have all threads for answers, too.
HttpResponse HttpService::health(const HttpPeer& peer) {
  try {
    without_token_.enter(peer.address, CallKind::kAnswer);
    without_token_.leave(peer.address, CallKind::kAnswer);
  } catch (const Refusal& refusal) {
    return plain_answer(429, refusal.what());
  }
  switch (shared_.health()) {
    case SharedController::Health::kServes:
      return plain_answer(200, "serving");
    case SharedController::Health::kCannotStore:
      return plain_answer(503, "nothing can be stored");
    case SharedController::Health::kHangs:
      return plain_answer(503, "the coordinator hangs");
  }
  return plain_answer(503, "");
}

// Where no token is needed anybody may ask as often as they like: one page is made at a time, and who asks meanwhile
// gets the one before.
HttpResponse HttpService::metrics_page() {
  const std::unique_lock making(metrics_making_, std::try_to_lock);
  if (making.owns_lock()) {
    std::string text = prometheus::TextSerializer().Serialize(metrics_.collectable()->Collect());
    const std::lock_guard lock(metrics_mutex_);
    metrics_text_ = std::move(text);
  }
  const std::lock_guard lock(metrics_mutex_);
  if (metrics_text_.empty()) return plain_answer(503, "the first page is being made; try again");
  return {.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_text_};
}

}  // namespace equipoise::coordinator
