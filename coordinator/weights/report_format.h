// A report of a step as the database keeps it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// Its sums (add_group_sums); without job, generation and step, which are the key of the record. `report` is one that
// check_step_report() takes.
std::string encoded_report(const v1::ReportStepRequest& report);

// nullopt: it is none.
std::optional<v1::ReportStepRequest> decoded_report(std::string_view bytes);

}  // namespace equipoise::coordinator
