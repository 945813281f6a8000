// What the HTTP API says: messages of the protocol as JSON (proto3's mapping), errors as Google's APIs say them, and
// jobs in short.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/http/http_request.h"
#include "coordinator/http/http_response.h"
#include "coordinator/job/job_table.h"

namespace equipoise::coordinator {

// In one line.
std::string json_of(const google::protobuf::Message& message);

// The fields of `request` from the query (GET) or from a JSON object in the body (POST). Throws std::invalid_argument
// for one that the message does not have, or a value that it cannot have.
void read_fields(const HttpRequest& request, google::protobuf::Message& message);
// The same, and the job of the path, which the body may name too.
template <typename Request>
Request job_request(const HttpRequest& request, const std::string& id) {
  Request fields;
  read_fields(request, fields);
  if (!fields.id().empty() && fields.id() != id) {
    throw std::invalid_argument("id is another job's than that of the path");
  }
  fields.set_id(id);
  return fields;
}

// An integer of the query. Throws std::invalid_argument where it is not one from `least` to `most`.
struct QueryRange {
  std::int64_t least, most, usual;
};
std::int64_t query_number(const HttpRequest& request, std::string_view name, QueryRange range);
// Throws std::invalid_argument for a name that is not among these.
void check_query(const HttpRequest& request, std::initializer_list<std::string_view> names);

// {"error": {"code": 404, "status": "NOT_FOUND", "message": ..., "details": [ErrorInfo]}}
HttpResponse error_answer(const grpc::Status& status);
HttpResponse json_answer(std::string json);

// Names of the job's groups, the worst off first: highest validation loss, or training loss where none was evaluated
// since training began.
std::vector<std::string> worst_groups(const v1::TrainingJob& job, std::size_t most);
// {"jobs": [...], "total": N}: a row for each of the newest `most` jobs.
std::string job_list_json(const JobTable::Jobs& jobs, std::size_t most);

}  // namespace equipoise::coordinator
