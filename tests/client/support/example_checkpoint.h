// A checkpoint as a run writes it, with files of a few bytes.
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>

#include "common/checkpoint/checkpoint_folder.h"
#include "tests/support/temp_folder.h"

namespace equipoise {

inline CheckpointManifest example_manifest(std::int64_t step) {
  CheckpointManifest manifest;
  manifest.program = "equipoise 0.1.0";
  manifest.job_id = "gr-dpo-0123abcd";
  manifest.generation = 2;
  manifest.step = step;
  manifest.time = "2026-01-31T12:00:00Z";
  manifest.job = "name: gr-dpo\n";
  manifest.plan = {.seed = 1,
                   .shuffle = true,
                   .num_pairs = 100,
                   .global_batch_size = 10,
                   .world_size = 3,
                   .stratified = false,
                   .mixed = false,
                   .first_step = 0,
                   .end_step = 500};
  manifest.weights.log_alpha_K = {-1.0, -0.5};
  manifest.weights.step_size.best = std::numeric_limits<double>::infinity();
  manifest.training = CheckpointJson::object();
  manifest.policy = CheckpointJson::object();
  return manifest;
}

// Makes OUTPUT/checkpoints/step-STEP of `folder`, and returns it.
inline std::filesystem::path write_checkpoint(const TempFolder& folder, const std::string& output, std::int64_t step) {
  const std::filesystem::path name = checkpoint_folder(output, step);
  CheckpointManifest manifest = example_manifest(step);
  const std::map<std::string, std::string> files = {{"theta.safetensors", "theta of step " + std::to_string(step)},
                                                    {"optimizer.safetensors", std::string(1000, 'o')}};
  for (const auto& [file, content] : files) {
    folder.write(name / file, content);
    manifest.files.push_back({.name = file,
                              .bytes = static_cast<std::int64_t>(content.size()),
                              .sha256 = sha256_of(std::as_bytes(std::span(content)))});
  }
  folder.write(name / kManifestName, manifest_text(manifest));
  return folder.path() / name;
}

}  // namespace equipoise
