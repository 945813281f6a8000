// read_examples JOB.yaml config.json: what the examples of the recipes are read as; 2 and one line where they are
// refused.
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "common/robust/ambiguity_sets.h"
#include "worker/model/decoder_config.h"

int main(int, char** argv) {
  try {
    const auto spec = equipoise::read_job_file(argv[1], {});
    const equipoise::JobConfig config = equipoise::make_job_config(spec);
    std::printf("%s\n", equipoise::job_spec_to_yaml(equipoise::resolve_defaults(spec, config)).c_str());
    const std::vector<double> loss_K{1, 2}, share_K{0.5, 0.5};
    const auto weight_K =
        equipoise::closed_form_weights(config.robust.settings, {.loss_K = loss_K, .share_K = share_K});
    std::printf("weights: %g %g\n", weight_K[1], weight_K[0]);
    std::printf("model_type: %s\n", equipoise::read_decoder_config(argv[2]).model_type.c_str());
    return 0;
  } catch (const std::invalid_argument& refused) {
    std::fprintf(stderr, "%s\n", refused.what());
    return 2;
  }
}
