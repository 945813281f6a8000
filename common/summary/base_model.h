// The model that a run began with, as others may know it: no path of the machine that trained.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "equipoise/v1/job.pb.h"

namespace equipoise {

struct BaseModel {
  std::string name;  // the hub's, else the folder's last part, of a run's model "RUN/final"
  // Its name on Hugging Face's hub, "google/gemma-2b", where the folder says one: its place in the hub's cache, the
  // _name_or_path of its config.json, or the base_model of its own README.md.
  std::optional<std::string> hub_name;
  // What its README.md says of its licence; `license_link` only where it is a URL.
  std::optional<std::string> license, license_name, license_link;
};

// `folder` may have gone meanwhile.
BaseModel base_model_of(const std::filesystem::path& folder);

// "google/gemma-2b": what the hub takes for a name of a model.
bool is_hub_name(const std::string& text);

// The job as others may see it: files and folders by their last part alone, without what belongs to the machine: its
// output, how it was launched, what it has gone on from.
std::string shareable_job(const v1::JobSpec& job, const BaseModel& base);

}  // namespace equipoise
