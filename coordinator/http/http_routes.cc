#include "coordinator/http/http_routes.h"

#include <algorithm>
#include <array>
#include <optional>

namespace equipoise::coordinator {
namespace {

constexpr std::string_view kIdPlace = "{id}";
constexpr std::size_t kLongestId = 128;

constexpr std::array kRoutes{
    HttpRoute{HttpCall::kAsset, "GET", "/", "", HttpPart::kPage},
    HttpRoute{HttpCall::kAsset, "GET", "/page.js", "", HttpPart::kPage},
    HttpRoute{HttpCall::kAsset, "GET", "/page.css", "", HttpPart::kPage},
    HttpRoute{HttpCall::kAsset, "GET", "/favicon.svg", "", HttpPart::kPage},
    HttpRoute{HttpCall::kHealth, "GET", "/healthz", "", HttpPart::kHealth},
    HttpRoute{HttpCall::kMetrics, "GET", "/metrics", "ListTrainingJobs", HttpPart::kMetrics},
    HttpRoute{HttpCall::kListJobs, "GET", "/v1/jobs", "ListTrainingJobs"},
    HttpRoute{HttpCall::kWatchJobs, "GET", "/v1/jobs:watch", "WatchTrainingJob"},
    HttpRoute{HttpCall::kGetJob, "GET", "/v1/jobs/{id}", "GetTrainingJob"},
    HttpRoute{HttpCall::kWatchJob, "GET", "/v1/jobs/{id}:watch", "WatchTrainingJob"},
    HttpRoute{HttpCall::kListEvents, "GET", "/v1/jobs/{id}/events", "ListEvents"},
    HttpRoute{HttpCall::kListAttempts, "GET", "/v1/jobs/{id}/attempts", "ListAttempts"},
    HttpRoute{HttpCall::kListCheckpoints, "GET", "/v1/jobs/{id}/checkpoints", "ListCheckpoints"},
    HttpRoute{HttpCall::kListRanks, "GET", "/v1/jobs/{id}/ranks", "ListRanks"},
    HttpRoute{HttpCall::kListWeights, "GET", "/v1/jobs/{id}/weights", "ListGroupWeights"},
    HttpRoute{HttpCall::kReadCurves, "GET", "/v1/jobs/{id}/curves", "ListGroupWeights"},
    HttpRoute{HttpCall::kReadMoves, "GET", "/v1/jobs/{id}/moves", "ListGroupWeights"},
    HttpRoute{HttpCall::kReadLog, "GET", "/v1/jobs/{id}/log", "ListAttempts"},
    HttpRoute{HttpCall::kPause, "POST", "/v1/jobs/{id}:pause", "PauseTrainingJob"},
    HttpRoute{HttpCall::kResume, "POST", "/v1/jobs/{id}:resume", "ResumeTrainingJob"},
    HttpRoute{HttpCall::kCancel, "POST", "/v1/jobs/{id}:cancel", "CancelTrainingJob"},
    HttpRoute{HttpCall::kCheckpoint, "POST", "/v1/jobs/{id}:checkpoint", "CheckpointTrainingJob"},
    HttpRoute{HttpCall::kEvaluate, "POST", "/v1/jobs/{id}:evaluate", "EvaluateTrainingJob"},
    HttpRoute{HttpCall::kUpdate, "POST", "/v1/jobs/{id}:update", "UpdateTrainingJob"},
};

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kLongestId &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// The id in `path`, empty where the route has none; nullopt: another path.
std::optional<std::string> id_in(const HttpRoute& route, std::string_view path) {
  const std::size_t place = route.path.find(kIdPlace);
  if (place == std::string_view::npos) return path == route.path ? std::optional<std::string>("") : std::nullopt;
  const std::string_view before = route.path.substr(0, place), after = route.path.substr(place + kIdPlace.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view id = path.substr(before.size(), path.size() - before.size() - after.size());
  return is_id(id) ? std::optional<std::string>(id) : std::nullopt;
}

}  // namespace

std::span<const HttpRoute> http_routes() { return kRoutes; }

RouteMatch match_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  for (const HttpRoute& route : kRoutes) {
    const std::optional<std::string> id = id_in(route, path);
    if (!id) continue;
    match.id = *id;
    match.methods.push_back(route.method);
    if (route.method == "GET") match.methods.emplace_back("HEAD");
    if (route.method == method || (route.method == "GET" && method == "HEAD")) match.route = &route;
  }
  return match;
}

}  // namespace equipoise::coordinator
