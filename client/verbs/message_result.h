// A message of the API as the result of a verb.
#pragma once

#include <functional>
#include <string>

#include "client/command_line/result_output.h"
#include "client/connection/connection.h"
#include "client/connection/job_inbox.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// `message` and what `text` refers to outlive the result. JSON has the names of the proto files.
VerbResult message_result(const google::protobuf::Message& message, std::function<std::string()> text);

// With the job's id as its name.
VerbResult job_result(const v1::TrainingJob& job, std::function<std::string()> text);

// Follows a job of a service to its end, as `jobs watch` does. For people the table of its groups is the result, once
// it has succeeded; for programs it is the job, however it has ended. Throws as require_success().
void watch_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const ResultFlags& flags,
                     const Console& console);

}  // namespace equipoise
