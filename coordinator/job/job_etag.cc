#include "coordinator/job/job_etag.h"

#include <array>
#include <charconv>

namespace equipoise::coordinator {

std::string etag_at(std::int64_t revision) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), revision, 16);
  return {digits.data(), end.ptr};
}

void renew_etag(const EtagBasis& before, v1::TrainingJob& job) {
  if (job.etag().empty() || before != etag_basis(job)) job.set_etag(etag_at(job.revision()));
}

}  // namespace equipoise::coordinator
