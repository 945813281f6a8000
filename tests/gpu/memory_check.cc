#include "equipoise/v1/job.pb.h"
#include "tests/gpu/check.h"
#include "worker/language_model/device_advice.h"

namespace equipoise::gpu_check {

Finding check_out_of_memory(const CheckDevice& device) {
  Finding finding;
  v1::JobSpec spec;
  spec.set_name("job");
  spec.set_output("/out");
  spec.mutable_model()->set_path("/model");
  spec.mutable_data()->set_train("/data.jsonl");
  try {
    torch::empty({std::int64_t{1} << 50}, torch::TensorOptions(torch::kUInt8).device(device.device()));
    finding.expect(false, "a petabyte was there");
  } catch (const std::exception& failure) {
    const auto refusal = out_of_memory(failure, make_job_config(spec));
    finding.summary = refusal ? refusal->what() : failure.what();
    finding.expect(refusal.has_value(), "is not recognised: " + finding.summary.substr(0, finding.summary.find('\n')));
    for (const char* name : {"training.micro_batch_tokens", "training.gradient_checkpointing", "model.dtype"}) {
      finding.expect(finding.summary.find(name) != std::string::npos, std::string("the line does not name ") + name);
    }
    finding.expect(finding.summary.find('\n') == std::string::npos, "it is more than one line");
    finding.numbers = {{"line", finding.summary}};
  }
  return finding;
}

}  // namespace equipoise::gpu_check
