// The settings that a configuration of another trainer gives, each with the place where it stands.
#pragma once

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "client/convert/trainer_settings.h"

namespace equipoise {

struct GivenSetting {
  YAML::Node value;       // never null
  std::string place;      // "dpo.yaml:7", "--beta"; empty: what the trainer takes where nothing is given
  std::string name = {};  // as it is written there, where that is not its key here
};

// By their names, "-" written as "_".
using GivenSettings = std::map<std::string, GivenSetting>;

// Adds those of the YAML `file` to `given`, in place of what is there; a value of null takes away what is there. At
// most 1 MiB. Throws std::invalid_argument "FILE:LINE: ...": it cannot be read, is no YAML or no mapping, has a key
// twice.
void read_given_file(const std::filesystem::path& file, GivenSettings& given);

// Adds flags as Hugging Face's argument parser takes them: --beta 0.1, --beta=0.1, --loss_type sigmoid sft, --bf16,
// --no_gradient_checkpointing. `table` says which names there are. Throws std::invalid_argument for a word that is no
// flag and no value of one.
void read_given_flags(std::span<const std::string> flags, const TrainerTable& table, GivenSettings& given);

// What `table` says where nothing is given.
GivenSettings default_settings(const TrainerTable& table);

}  // namespace equipoise
