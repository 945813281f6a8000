// What the HTTP port answers: the one list of it. docs/reference/http.md has the same rows.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/http/http_access.h"

namespace equipoise::coordinator {

enum class HttpCall {
  kAsset,
  kHealth,
  kMetrics,
  kListJobs,
  kWatchJobs,
  kGetJob,
  kWatchJob,
  kListEvents,
  kListAttempts,
  kListCheckpoints,
  kListRanks,
  kListWeights,
  kReadCurves,
  kReadMoves,
  kReadLog,
  kPause,
  kResume,
  kCancel,
  kCheckpoint,
  kEvaluate,
  kUpdate,
};

struct HttpRoute {
  HttpCall call;
  std::string_view method;  // GET has HEAD beside it
  std::string_view path;    // "{id}" stands for the id of a job
  std::string_view rpc;     // the call of TrainingJobService whose rule it has; empty: none
  HttpPart part = HttpPart::kApi;
};

std::span<const HttpRoute> http_routes();

struct RouteMatch {
  const HttpRoute* route = nullptr;            // null: not this method, or not this path
  std::vector<std::string_view> methods = {};  // that this path has; empty: there is no such path
  std::string id = {};                         // of the job, where the path has one
};
RouteMatch match_route(std::string_view method, std::string_view path);

}  // namespace equipoise::coordinator
