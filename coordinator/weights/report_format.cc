#include "coordinator/weights/report_format.h"

#include <cstddef>
#include <span>
#include <stdexcept>

#include "common/robust/group_sums_bytes.h"

namespace equipoise::coordinator {
namespace {

template <typename Value>
std::span<const Value> span_of(const google::protobuf::RepeatedField<Value>& values) {
  return {values.data(), static_cast<std::size_t>(values.size())};
}

}  // namespace

std::string encoded_report(const v1::ReportStepRequest& report) {
  std::string bytes;
  add_group_sums(bytes, {.group = span_of(report.group()),
                         .loss_sum = span_of(report.loss_sum()),
                         .pair_count = span_of(report.pair_count()),
                         .batch_pairs = report.batch_pairs(),
                         .skipped = span_of(report.non_finite_group())});
  return bytes;
}

std::optional<v1::ReportStepRequest> decoded_report(std::string_view bytes) {
  try {
    const StoredGroupSums stored = stored_group_sums(bytes);
    v1::ReportStepRequest report;
    report.mutable_group()->Add(stored.sums.group.begin(), stored.sums.group.end());
    report.mutable_loss_sum()->Add(stored.sums.loss_sum.begin(), stored.sums.loss_sum.end());
    report.mutable_pair_count()->Add(stored.sums.pair_count.begin(), stored.sums.pair_count.end());
    report.set_batch_pairs(stored.sums.batch_pairs);
    report.mutable_non_finite_group()->Add(stored.skipped.begin(), stored.skipped.end());
    return report;
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace equipoise::coordinator
