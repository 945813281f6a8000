#include "coordinator/http/job_json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/protocol/error_reason.h"
#include "common/protocol/job_state.h"
#include "coordinator/service/rpc_status.h"

namespace equipoise::coordinator {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// As https://cloud.google.com/apis/design/errors has them.
int http_status(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return 200;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::OUT_OF_RANGE:
      return 400;
    case grpc::StatusCode::UNAUTHENTICATED:
      return 401;
    case grpc::StatusCode::PERMISSION_DENIED:
      return 403;
    case grpc::StatusCode::NOT_FOUND:
      return 404;
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::ALREADY_EXISTS:
      return 409;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return 429;
    case grpc::StatusCode::CANCELLED:
      return 499;
    case grpc::StatusCode::UNIMPLEMENTED:
      return 501;
    case grpc::StatusCode::UNAVAILABLE:
      return 503;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return 504;
    default:
      return 500;
  }
}

Json query_as_json(const HttpRequest& request, const google::protobuf::Message& message) {
  Json fields = Json::object();
  const auto& descriptor = *message.GetDescriptor();
  for (const auto& [name, value] : request.query) {
    const auto* field = descriptor.FindFieldByCamelcaseName(name);
    if (field != nullptr && field->is_repeated()) {
      fields[name].push_back(value);
    } else if (!fields.emplace(name, value).second) {
      throw std::invalid_argument("the query has one field twice");
    }
  }
  return fields;
}

// An evaluation before the first step says nothing of the training.
bool is_of_validation(const v1::TrainingJob& job, const v1::GroupStatus& group) {
  const bool is_old = job.validation_step() == 0 && job.step() > 0 && group.has_train_loss();
  return group.has_validation_loss() && !is_old;
}

// NaN is worse than every number.
double loss_of(const v1::TrainingJob& job, const v1::GroupStatus& group) {
  if (!group.has_validation_loss() && !group.has_train_loss()) return -std::numeric_limits<double>::infinity();
  const double loss = is_of_validation(job, group) ? group.validation_loss() : group.train_loss();
  return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
}

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json row_of(const v1::TrainingJob& job) {
  Json row = {{"id", job.id()},
              {"name", job.spec().name()},
              {"state", state_name(job.state())},
              {"stateReason", job.state_reason()},
              {"step", job.step()},
              {"totalSteps", job.total_steps()},
              {"phase", job.phase()},
              {"priority", job.priority()},
              {"restarts", job.restarts()},
              {"groups", job.groups_size()},
              {"createTime", job.create_time().seconds()},
              {"parentId", job.parent_id()}};
  if (job.has_loss()) row["loss"] = finite(job.loss());
  if (job.has_pairs_per_second()) row["pairsPerSecond"] = finite(job.pairs_per_second());
  if (job.has_time_left()) row["timeLeft"] = job.time_left().seconds();
  const auto loss = [&job](const v1::GroupStatus& group) { return loss_of(job, group); };
  const auto worst = std::ranges::max_element(job.groups(), {}, loss);
  if (worst != job.groups().end() && loss(*worst) > -std::numeric_limits<double>::infinity()) {
    row["worst"] = {{"name", worst->name()},
                    {"weight", worst->weight()},
                    {"loss", finite(loss(*worst))},
                    {"split", is_of_validation(job, *worst) ? "validation" : "train"}};
  }
  return row;
}

}  // namespace

std::string json_of(const google::protobuf::Message& message) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json);
  if (!status.ok()) throw std::runtime_error("a message has no JSON form: " + std::string(status.message()));
  return json;
}

void read_fields(const HttpRequest& request, google::protobuf::Message& message) {
  const std::string json = request.method == "POST" ? request.body : text_of(query_as_json(request, message));
  if (json.empty()) return;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  if (!status.ok()) {
    throw std::invalid_argument(std::string(request.method == "POST" ? "the body" : "the query") +
                                " cannot be read: " + std::string(status.message()));
  }
}

std::int64_t query_number(const HttpRequest& request, std::string_view name, QueryRange range) {
  const auto text = request.query_of(name);
  if (!text) return range.usual;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size() && value >= range.least && value <= range.most) {
    return value;
  }
  throw std::invalid_argument("the query's " + std::string(name) + " is no integer from " +
                              std::to_string(range.least) + " to " + std::to_string(range.most));
}

void check_query(const HttpRequest& request, std::initializer_list<std::string_view> names) {
  for (const auto& [name, value] : request.query) {
    if (std::ranges::find(names, name) != names.end()) continue;
    std::string known;
    for (const std::string_view one : names) known.append(known.empty() ? "" : ", ").append(one);
    throw std::invalid_argument("the query has a field that is not known, expected " + known);
  }
}

HttpResponse error_answer(const grpc::Status& status) {
  const int code = http_status(status.error_code());
  Json error = {{"code", code}, {"status", code_name(status.error_code())}, {"message", status.error_message()}};
  if (const auto reason = reason_in(status.error_details())) {
    error["details"] = {{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
                         {"reason", std::string(reason_name(*reason))},
                         {"domain", "equipoise.v1"}}};
  }
  if (const std::string field = field_in(status.error_details()); !field.empty()) {
    error["details"].push_back({{"@type", "type.googleapis.com/google.rpc.BadRequest"},
                                {"fieldViolations", {{{"field", field}, {"description", status.error_message()}}}}});
  }
  const auto retry_after = retry_after_in(status.error_details());
  const auto retry_s = std::chrono::ceil<std::chrono::seconds>(retry_after.value_or(std::chrono::seconds(1))).count();
  if (retry_after) {
    error["details"].push_back(
        {{"@type", "type.googleapis.com/google.rpc.RetryInfo"}, {"retryDelay", std::to_string(retry_s) + "s"}});
  }
  HttpResponse response{
      .status = code, .content_type = std::string(kJsonContent), .body = text_of({{"error", std::move(error)}}) + "\n"};
  if (code == 401) response.fields.emplace_back("WWW-Authenticate", "Bearer");
  if (code == 429 || code == 503) response.fields.emplace_back("Retry-After", std::to_string(retry_s));
  return response;
}

HttpResponse json_answer(std::string json) {
  return {.status = 200, .content_type = std::string(kJsonContent), .body = std::move(json)};
}

std::vector<std::string> worst_groups(const v1::TrainingJob& job, std::size_t most) {
  std::vector<const v1::GroupStatus*> groups;
  for (const v1::GroupStatus& group : job.groups()) groups.push_back(&group);
  const std::size_t taken = std::min(most, groups.size());
  std::ranges::partial_sort(groups, groups.begin() + static_cast<std::ptrdiff_t>(taken), std::ranges::greater(),
                            [&job](const v1::GroupStatus* group) { return loss_of(job, *group); });
  std::vector<std::string> names;
  for (std::size_t at = 0; at < taken; ++at) names.push_back(groups[at]->name());
  return names;
}

std::string job_list_json(const JobTable::Jobs& jobs, std::size_t most) {
  Json rows = Json::array();
  for (auto record = jobs.rbegin(); record != jobs.rend() && rows.size() < most; ++record) {
    rows.push_back(row_of(record->second.job));
  }
  return text_of({{"jobs", std::move(rows)}, {"total", jobs.size()}});
}

}  // namespace equipoise::coordinator
