// A job from the configuration of TRL, axolotl or LLaMA-Factory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "client/convert/given_settings.h"
#include "client/convert/trainer_settings.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

struct ConversionRequest {
  Trainer trainer = Trainer::kTrl;
  std::filesystem::path file = {};        // empty: flags alone
  std::vector<std::string> flags = {};    // of TRL's command line
  std::string model = {};                 // a folder, in place of what the settings say
  std::string train = {};                 // a file or folder, as `model`
  std::string validation = {};            // as `train`
  int workers = 1;                        // devices, on which the global batch depends
  std::filesystem::path job_folder = {};  // paths are written as they hold from there; empty: the working folder
};

struct Conversion {
  v1::JobSpec spec;
  std::vector<std::string> notes;   // what differs, or has no effect: "dpo.yaml:7: report_to: ..."
  std::vector<std::string> faults;  // what a job cannot do; with any of these `spec` is not the run that was asked for
};

// Whose configuration it is, by the keys that only one of them has.
Trainer guessed_trainer(const GivenSettings& given);

// Throws std::invalid_argument where the file or the flags cannot be read at all.
Conversion convert_settings(const ConversionRequest& request);

}  // namespace equipoise
