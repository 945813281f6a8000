// A job as it comes from anybody who may submit one: the message's bytes, and the YAML file.
#include <google/protobuf/util/message_differencer.h>

#include <string>

#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

std::string text_of(std::span<const std::uint8_t> input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// What a run writes into its folder is what `--resume` reads.
void check_job(const v1::JobSpec& spec) {
  const JobConfig config = make_job_config(spec);
  const v1::JobSpec resolved = resolve_defaults(spec, config);
  v1::JobSpec read_back;
  merge_job_text("job.yaml", job_spec_to_yaml(resolved), read_back);
  promise(google::protobuf::util::MessageDifferencer::Equals(read_back, resolved),
          "a job is read back as it is written");
  make_job_config(resolved);
}

}  // namespace

bool fuzz_job_message(std::span<const std::uint8_t> input) {
  v1::JobSpec spec;
  if (!spec.ParseFromArray(input.data(), static_cast<int>(input.size()))) return false;
  spec.DiscardUnknownFields();  // of a newer program: no file has them
  return accepts([&] { check_job(spec); });
}

bool fuzz_job_text(std::span<const std::uint8_t> input) {
  return accepts([&] {
    v1::JobSpec spec;
    merge_job_text("job.yaml", text_of(input), spec);
    check_job(spec);
  });
}

}  // namespace equipoise
